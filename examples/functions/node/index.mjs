export const handler = async (event, context) => {
  const events = event.Records.map(({ kinesis }) => JSON.parse(Buffer.from(kinesis.data, 'base64').toString()));
  console.log(`${context.functionName} got ${events.length} events`);
  return events.flatMap(({ userId, itemId, interactions = 1 }) =>
    Array.from({ length: interactions }, () => ({ userId, itemId })));
};
