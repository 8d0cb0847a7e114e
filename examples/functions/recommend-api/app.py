import json
import os

import boto3

runtime = boto3.client("personalize-runtime")


def answer(status, body):
    headers = {"Content-Type": "application/json", "Access-Control-Allow-Origin": "*"}
    return {"statusCode": str(status), "headers": headers, "body": json.dumps(body)}


def handler(event, context):
    try:
        user = json.loads(event["body"])["userId"]
        found = runtime.get_recommendations(campaignArn=os.environ["CAMPAIGN_ARN"], userId=user, numResults=5)
    except (KeyError, runtime.exceptions.InvalidInputException) as error:
        return answer(400, str(error))
    except runtime.exceptions.ResourceNotFoundException:
        return answer(500, "Campaign Not Found")
    return answer(200, found["itemList"])
