"""Node handlers: promises, callbacks, CommonJS and ES modules, and the shapes of what goes wrong."""

import shutil
import zlib

import pytest
from functions_world import Functions

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")

MANY = """
const util = require('util');
exports.handler = async (event, context) => {
  console.log('asked for', event);
  if (event === 'context') {
    return { name: context.functionName, arn: context.invokedFunctionArn, id: context.awsRequestId,
             left: context.getRemainingTimeInMillis(), mb: context.memoryLimitInMB, region: process.env.AWS_REGION };
  }
  if (event === 'throw') throw new TypeError('no such thing');
  if (event === 'exit') process.exit(4);
  if (event === 'never') return new Promise(() => {});
  if (event === 'nothing') return undefined;
  return { statusCode: 200, body: JSON.stringify(event) };
};
exports.calling = (event, context, callback) => {
  if (event === 'error') return callback(new Error('called back'));
  setTimeout(() => callback(null, { late: event }), 20);
};
exports.early = (event, context, callback) => {
  context.callbackWaitsForEmptyEventLoop = false;
  setInterval(() => {}, 1000);
  callback(null, 'at once');
};
exports.silent = (event) => {};
exports.rejecting = async (event) => {
  Promise.reject(new Error('nobody looked'));
  return new Promise((resolve) => setTimeout(resolve, 5000));
};
"""


@pytest.fixture(scope="module")
def many(functions: Functions) -> str:
    return functions.node("many", {"index.js": MANY})


def test_an_async_handler_answers_and_stays_warm(functions: Functions, many: str) -> None:
    done = functions.invoke("many", {"userId": "1"})
    assert done.payload == {"statusCode": 200, "body": '{"userId":"1"}'}
    assert "\tINFO\tasked for { userId: '1' }" in done.log
    told = functions.invoke("many", "context").payload
    assert told["name"] == "many"
    assert told["arn"] == many
    assert told["mb"] == "128"
    assert told["region"] == "us-east-1"
    assert 0 < told["left"] <= 20_000
    assert functions.invoke("many", "nothing").payload is None


def test_errors_have_lambdas_shape(functions: Functions, many: str) -> None:
    done = functions.invoke("many", "throw")
    assert done.error == "Unhandled"
    assert done.payload["errorType"] == "TypeError"
    assert done.payload["errorMessage"] == "no such thing"
    assert done.payload["trace"][0] == "TypeError: no such thing"
    assert "ERROR\tInvoke Error" in done.log
    ended = functions.invoke("many", "exit").payload
    assert ended["errorType"] == "Runtime.ExitError"
    assert ended["errorMessage"].endswith("exit status 4")
    assert functions.invoke("many", "never").payload["errorType"] == "Runtime.NodeJsExit"


def test_a_callback_answers_when_there_is_nothing_else_to_do(functions: Functions) -> None:
    functions.node("calling", {"index.js": MANY}, Handler="index.calling")
    assert functions.invoke("calling", 7).payload == {"late": 7}
    assert functions.invoke("calling", "error").payload["errorMessage"] == "called back"
    functions.node("early", {"index.js": MANY}, Handler="index.early")
    assert functions.invoke("early").payload == "at once"
    assert functions.invoke("early").payload == "at once"
    functions.node("silent", {"index.js": MANY}, Handler="index.silent")
    assert functions.invoke("silent").payload is None


def test_a_rejection_nobody_looks_at_ends_the_process(functions: Functions) -> None:
    functions.node("rejecting", {"index.js": MANY}, Handler="index.rejecting")
    for _ in range(2):
        done = functions.invoke("rejecting")
        assert done.payload["errorType"] == "Runtime.UnhandledPromiseRejection"
        assert done.payload["errorMessage"] == "Error: nobody looked"


def test_an_es_module_awaits_at_its_top(functions: Functions) -> None:
    code = "const answer = await Promise.resolve(42);\nexport const handler = async () => answer;\n"
    functions.node("module", {"index.mjs": code})
    assert functions.invoke("module").payload == 42
    files = {
        "src/app.js": "import { x } from './x.js';\nexport const run = async () => x;",
        "src/x.js": "export const x = 1;",
    }
    functions.node("nested", {"package.json": '{"type": "module"}', **files}, Handler="src/app.run")
    assert functions.invoke("nested").payload == 1


@pytest.mark.parametrize(
    ("files", "handler", "kind"),
    [
        ({"a.js": ""}, "index.handler", "Runtime.ImportModuleError"),
        ({"index.js": "require('nowhere-at-all')"}, "index.handler", "Runtime.ImportModuleError"),
        ({"index.js": "exports.other = 1"}, "index.handler", "Runtime.HandlerNotFound"),
        ({"index.js": "function ("}, "index.handler", "Runtime.UserCodeSyntaxError"),
        ({"index.js": "throw new RangeError('at once')"}, "index.handler", "RangeError"),
    ],
)
def test_a_handler_that_cannot_be_loaded_says_why(
    functions: Functions, files: dict[str, str], handler: str, kind: str
) -> None:
    name = f"broken-{kind.replace('.', '-')}-{zlib.crc32(str(files).encode()):x}"
    functions.node(name, files, Handler=handler)
    done = functions.invoke(name)
    assert done.error == "Unhandled"
    assert done.payload["errorType"] == kind


CONFIG = "(require('./config').Config)()"
SDK = {  # as the files of aws-sdk require each other
    "package.json": '{"main": "lib/aws.js"}',
    "lib/config.js": "exports.Config = function () { this.update = (more) => Object.assign(this, more); };",
    "lib/core.js": f"exports.config = new {CONFIG};",
    "lib/node_loader.js": f"const AWS = require('./core');\nAWS.config = new {CONFIG};",
    "lib/aws.js": "require('./node_loader');\nmodule.exports = require('./core');",
    "clients/s3.js": "require('../lib/node_loader');\nmodule.exports = require('../lib/core');",
}
PACKAGED = {f"node_modules/aws-sdk/{name}": text for name, text in SDK.items()}
TOLD = "exports.handler = async () => [AWS.config.endpoint, AWS.config.s3ForcePathStyle, process.env.AWS_ENDPOINT_URL];"


@pytest.mark.parametrize("name", ["aws-sdk", "aws-sdk/clients/s3"])
def test_the_second_version_of_the_sdk_calls_this_server(functions: Functions, name: str) -> None:
    one = "one" + name[-2:]
    functions.node(one, {**PACKAGED, "index.js": f"const AWS = require('{name}');\n{TOLD}"})
    endpoint, is_path_style, told = functions.invoke(one).payload
    assert endpoint == told is not None
    assert is_path_style


def test_an_endpoint_that_a_handler_gives_the_sdk_stays(functions: Functions) -> None:
    own = "AWS.config.update({ endpoint: 'http://elsewhere' });\nrequire('aws-sdk/clients/s3');\n"
    functions.node("own", {**PACKAGED, "index.js": f"const AWS = require('aws-sdk');\n{own}{TOLD}"})
    assert functions.invoke("own").payload[0] == "http://elsewhere"
