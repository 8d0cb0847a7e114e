"""aws-personalized-ranking: a list of items in the order that suits a user.

The engine of aws-user-personalization, without exploration; serving normalises over the list.
Answers: GetPersonalizedRanking(userId, inputList). Source: developer guide, "Personalized-Ranking recipe".
"""

from nextpick.recipes import aws_user_personalization as engine

NAME = "aws-personalized-ranking"
Params, fit, update, score, reasons = (
    engine.Params,
    engine.fit,
    engine.update,
    engine.score,
    engine.reasons,
)
