"""aws-vod-most-popular: the videos that most users have watched; the same list for everyone.

The engine of aws-popularity-count.

Needs:    INTERACTIONS with EVENT_TYPE Watch; nothing else is trained on.
Answers:  GetRecommendations(recommenderArn, userId); without scores.
Source:   developer guide, "Most popular use case".
"""

from nextpick.recipes import aws_popularity_count as engine

NAME = "aws-vod-most-popular"
Params, fit, score = engine.Params, engine.fit, engine.score
