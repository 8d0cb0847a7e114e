"""aws-vod-top-picks: the videos a user is likely to watch next, new ones tried out.

The engine of aws-user-personalization.

Needs:    INTERACTIONS of any type; what the user has watched is left out at the request.
Answers:  GetRecommendations(recommenderArn, userId); without scores.
Source:   developer guide, "Top picks for you use case".
"""

from nextpick.recipes import aws_user_personalization as engine

NAME = "aws-vod-top-picks"
Params, fit, update, score, reasons = (
    engine.Params,
    engine.fit,
    engine.update,
    engine.score,
    engine.reasons,
)
