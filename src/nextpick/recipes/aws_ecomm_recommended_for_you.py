"""aws-ecomm-recommended-for-you: the items a user is likely to take next, new items tried out.

The engine of aws-user-personalization.

Needs:    INTERACTIONS of any type; what the user has bought is left out at the request.
Answers:  GetRecommendations(recommenderArn, userId); without scores.
Source:   developer guide, "Recommended for you use case".
"""

from nextpick.recipes import aws_user_personalization as engine

NAME = "aws-ecomm-recommended-for-you"
Params, fit, update, score, reasons = (
    engine.Params,
    engine.fit,
    engine.update,
    engine.score,
    engine.reasons,
)
