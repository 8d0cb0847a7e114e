import json
import logging
import os

import boto3

logger = logging.getLogger()
logger.setLevel(logging.INFO)

runtime = boto3.client("personalize-runtime")


def lambda_handler(event, context):
    user = str(event["user_id"])
    situation = json.loads(event.get("context", "{}"))
    logger.info("recommendations for user %s in %s", user, situation)
    return runtime.get_recommendations(
        campaignArn=os.environ["CAMPAIGN_ARN"],
        userId=user,
        numResults=int(os.environ.get("NUM_RESULTS", "10")),
        context=situation,
    )
