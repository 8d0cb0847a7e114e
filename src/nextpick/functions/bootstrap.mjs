// The inside of a Node function's process: node bootstrap.mjs SOCKET_FD GUARD_FD.
//
// What bootstrap.py is for Python, with the shapes of Lambda's Node.js runtime: handlers that return a promise or call
// back, CommonJS and ES modules. Source: AWS Lambda Developer Guide, "Define Lambda function handler in Node.js",
// "Using the Lambda context object to retrieve Node.js function information".

import fs from 'node:fs';
import Module from 'node:module';
import net from 'node:net';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import util from 'node:util';

const HEAD = 8;
const socket = new net.Socket({ fd: Number(process.argv[2]), readable: true, writable: true });
process.argv.length = 2;

let current = null; // the invocation that is being served

function send(head, text) {
  const told = Buffer.from(JSON.stringify(head));
  const body = Buffer.from(text);
  const lengths = Buffer.alloc(HEAD);
  lengths.writeUInt32BE(told.length, 0);
  lengths.writeUInt32BE(body.length, 4);
  return new Promise((sent) => socket.write(Buffer.concat([lengths, told, body]), sent));
}

function log(level, ...words) {
  const id = current === null ? 'undefined' : current.head.request_id;
  const text = util.format(...words).replaceAll('\n', '\r');
  fs.writeSync(1, `${new Date().toISOString()}\t${id}\t${level}\t${text}\n`);
}

for (const [name, level] of Object.entries({
  log: 'INFO', info: 'INFO', debug: 'DEBUG', trace: 'TRACE', warn: 'WARN', error: 'ERROR',
})) {
  console[name] = (...words) => log(level, ...words);
}

class Failure extends Error {
  constructor(name, message) {
    super(message);
    this.name = name;
  }
}

function shapeOf(error) {
  if (error instanceof Error) {
    const trace = (error.stack || `${error.name}: ${error.message}`).split('\n');
    return { errorType: error.name, errorMessage: error.message, trace };
  }
  return { errorType: typeof error, errorMessage: String(error), trace: [] };
}

// The SDK's second version, which does not read AWS_ENDPOINT_URL, is told where its services are as it is loaded.
const required = Module._load;
Module._load = function (request, parent, ...rest) {
  const loaded = required.call(this, request, parent, ...rest);
  if (/\bcore$/.test(request) && loaded.config && !loaded.config.endpoint) {
    const file = Module._resolveFilename(request, parent);
    if (file.endsWith(path.join('aws-sdk', 'lib', 'core.js'))) {
      loaded.config.update({ endpoint: process.env.AWS_ENDPOINT_URL, s3ForcePathStyle: true });
    }
  }
  return loaded;
};

async function load(name) {
  const root = process.env.LAMBDA_TASK_ROOT;
  const found = /^((?:.*\/)?[^./]+)\.(.+)$/.exec(name);
  if (found === null) throw new Failure('Runtime.MalformedHandlerName', 'Bad handler');
  const stem = path.resolve(root, found[1]);
  const file = ['', '.js', '.mjs', '.cjs'].map((ending) => stem + ending)
    .find((each) => fs.existsSync(each) && fs.statSync(each).isFile());
  if (file === undefined) {
    throw new Failure('Runtime.ImportModuleError', `Error: Cannot find module '${path.basename(stem)}'`);
  }
  let module;
  try {
    module = await import(pathToFileURL(file).href);
  } catch (error) {
    if (error instanceof SyntaxError) throw new Failure('Runtime.UserCodeSyntaxError', `SyntaxError: ${error.message}`);
    if (/MODULE_NOT_FOUND/.test(error?.code)) throw new Failure('Runtime.ImportModuleError', `Error: ${error.message}`);
    throw error;
  }
  const inside = (holder) => found[2].split('.').reduce((held, key) => held?.[key], holder);
  const handler = inside(module) ?? inside(module.default);
  if (handler === undefined) {
    throw new Failure('Runtime.HandlerNotFound', `${name} is undefined or not exported`);
  }
  if (typeof handler !== 'function') throw new Failure('Runtime.HandlerNotFound', `${name} is not a function`);
  return handler;
}

async function end(kind, value) {
  const mine = current;
  if (mine === null || mine.ended) return;
  mine.ended = true;
  let text;
  if (kind === 'result') {
    try {
      text = JSON.stringify(value === undefined ? null : value) ?? 'null';
    } catch (error) {
      kind = 'error';
      value = new Failure('Runtime.MarshalError', `Unable to stringify response body: ${error.message}`);
    }
  }
  if (kind === 'error') {
    const shape = shapeOf(value);
    log('ERROR', `Invoke Error \t${JSON.stringify({ ...shape, stack: shape.trace, trace: undefined })}`);
    text = JSON.stringify(shape);
  }
  current = null;
  socket.ref();
  await send({ is: kind }, text);
}

function contextOf(head) {
  const remaining = () => Math.max(0, head.deadline_ms - Date.now());
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    invokedFunctionArn: head.arn,
    awsRequestId: head.request_id,
    clientContext: head.client_context ? JSON.parse(head.client_context) : undefined,
    identity: undefined,
    getRemainingTimeInMillis: remaining,
    succeed: (value) => end('result', value),
    fail: (error) => end('error', error),
    done: (error, value) => (error ? end('error', error) : end('result', value)),
  };
}

function invoke(handler, head, body) {
  Object.assign(process.env, head.environ);
  current = { head, ended: false, isAsync: false, held: null };
  const mine = current;
  const context = contextOf(head);
  // A callback's answer waits, as in Lambda, for the event loop to be empty, unless the handler says otherwise.
  const callback = (error, value) => {
    const answer = error ? ['error', error] : ['result', value];
    if (context.callbackWaitsForEmptyEventLoop) mine.held ??= answer;
    else end(...answer);
  };
  socket.unref();
  let returned;
  try {
    returned = handler(JSON.parse(body), context, callback);
  } catch (error) {
    end('error', error);
    return;
  }
  if (typeof returned?.then === 'function') {
    mine.isAsync = true;
    returned.then((value) => end('result', value), (error) => end('error', error));
  }
}

process.on('beforeExit', () => {
  if (current === null) return;
  if (current.held !== null) end(...current.held);
  else if (current.isAsync) end('error', new Failure('Runtime.NodeJsExit', 'The function exited before its promise was settled'));
  else end('result', null);
});

for (const [event, kind] of [['uncaughtException', 'Uncaught Exception'], ['unhandledRejection', 'Unhandled Rejection']]) {
  process.on(event, async (error) => {
    const shape = shapeOf(error);
    if (event === 'unhandledRejection') {
      shape.errorMessage = `${shape.errorType}: ${shape.errorMessage}`;
      shape.errorType = 'Runtime.UnhandledPromiseRejection';
    }
    log('ERROR', `${kind} \t${JSON.stringify(shape)}`);
    await send({ is: current === null ? 'failed' : 'fatal' }, JSON.stringify(shape));
    process.exit(1);
  });
}

socket.on('error', () => process.exit(0));
socket.on('close', () => process.kill(-process.pid, 'SIGKILL'));

let handler;
try {
  handler = await load(process.env._HANDLER);
} catch (error) {
  const shape = shapeOf(error);
  log('ERROR', `Uncaught Exception \t${JSON.stringify(shape)}`);
  await send({ is: 'failed' }, JSON.stringify(shape));
  process.exit(1);
}

let pending = Buffer.alloc(0);
socket.on('data', (piece) => {
  pending = pending.length ? Buffer.concat([pending, piece]) : piece;
  while (pending.length >= HEAD) {
    const head = pending.readUInt32BE(0);
    const size = HEAD + head + pending.readUInt32BE(4);
    if (pending.length < size) return;
    const told = JSON.parse(pending.subarray(HEAD, HEAD + head));
    const body = pending.subarray(HEAD + head, size).toString();
    pending = pending.subarray(size);
    invoke(handler, told, body);
  }
});
await send({ is: 'ready' }, '');
