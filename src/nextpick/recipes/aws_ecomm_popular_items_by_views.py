"""aws-ecomm-popular-items-by-views: the items that most users have viewed; the same list for everyone.

The engine of aws-popularity-count.

Needs:    INTERACTIONS with EVENT_TYPE View; nothing else is trained on.
Answers:  GetRecommendations(recommenderArn, userId); without scores.
Source:   developer guide, "Popular items by views use case".
"""

from nextpick.recipes import aws_popularity_count as engine

NAME = "aws-ecomm-popular-items-by-views"
Params, fit, score = engine.Params, engine.fit, engine.score
