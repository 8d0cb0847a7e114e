import boto3

CAMPAIGN_ARN = "arn:aws:personalize:us-east-1:000000000000:campaign/books"

personalize = boto3.client("personalize-runtime")


def lambda_handler(event, context):
    user_id = event["queryStringParameters"]["user_id"]
    response = personalize.get_recommendations(campaignArn=CAMPAIGN_ARN, userId=user_id)
    return response["itemList"]
