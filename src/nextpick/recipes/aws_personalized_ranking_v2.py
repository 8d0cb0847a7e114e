"""aws-personalized-ranking-v2: a list of items in the order that suits a user.

The models of aws-user-personalization-v2, without exploration; serving normalises over the list.
Answers: GetPersonalizedRanking(userId, inputList). Source: developer guide, "Personalized-Ranking-v2 recipe".
"""

from nextpick.recipes import aws_user_personalization_v2 as personalization

NAME = "aws-personalized-ranking-v2"
Params, fit, score, reasons = (
    personalization.Params,
    personalization.fit,
    personalization.score,
    personalization.reasons,
)
