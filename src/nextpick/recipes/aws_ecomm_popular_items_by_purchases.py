"""aws-ecomm-popular-items-by-purchases: the items that most users have bought; the same list for everyone.

The engine of aws-popularity-count.

Needs:    INTERACTIONS with EVENT_TYPE Purchase; nothing else is trained on.
Answers:  GetRecommendations(recommenderArn, userId); without scores.
Source:   developer guide, "Popular items by purchases use case".
"""

from nextpick.recipes import aws_popularity_count as engine

NAME = "aws-ecomm-popular-items-by-purchases"
Params, fit, score = engine.Params, engine.fit, engine.score
