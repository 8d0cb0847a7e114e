"""aws-ecomm-customers-who-viewed-x-also-viewed: items that users who viewed the given one viewed too.

The engine of aws-sims.

Needs:    INTERACTIONS with EVENT_TYPE View; what the user has bought is left out at the request.
Answers:  GetRecommendations(recommenderArn, userId, itemId); without scores.
Source:   developer guide, "Customers who viewed X also viewed use case".
"""

from nextpick.recipes import aws_sims as engine

NAME = "aws-ecomm-customers-who-viewed-x-also-viewed"
Params, fit, score = engine.Params, engine.fit, engine.score
