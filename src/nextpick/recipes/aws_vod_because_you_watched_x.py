"""aws-vod-because-you-watched-x: videos that users who watched the given one watched too.

The engine of aws-sims.

Needs:    INTERACTIONS with EVENT_TYPE Watch; what the user has watched is left out at the request.
Answers:  GetRecommendations(recommenderArn, userId, itemId); without scores.
Source:   developer guide, "Because you watched X use case".
"""

from nextpick.recipes import aws_sims as engine

NAME = "aws-vod-because-you-watched-x"
Params, fit, score = engine.Params, engine.fit, engine.score
