"""Behind DELETE /deleteResources: deletes a campaign and an event tracker, each whatever becomes of the other."""

import json

import boto3

personalize = boto3.client("personalize")


def lambda_handler(event, context):
    body = json.loads(event["body"])
    told, status = {}, 200
    for name, delete in (
        ("campaignArn", personalize.delete_campaign),
        ("eventTrackerArn", personalize.delete_event_tracker),
    ):
        try:
            delete(**{name: body[name]})
            told[name] = "deleted"
        except (KeyError, personalize.exceptions.ClientError) as error:
            told[name], status = str(error), 500
    return {"statusCode": status, "body": json.dumps(told)}
