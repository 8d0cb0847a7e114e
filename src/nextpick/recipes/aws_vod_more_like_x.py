"""aws-vod-more-like-x: videos like the given one, by the users and the metadata they share.

The engine of aws-similar-items.

Needs:    INTERACTIONS and ITEMS; what the user has watched is left out at the request.
Answers:  GetRecommendations(recommenderArn, userId, itemId); without scores.
Source:   developer guide, "More like X use case".
"""

from nextpick.recipes import aws_similar_items as engine

NAME = "aws-vod-more-like-x"
Params, fit, score = engine.Params, engine.fit, engine.score
