// Sends a form with a file of the given number of bytes, and prints the status of the response.
const http = require("http");
const [, , url, bytes] = process.argv;
const head = '--B\r\nContent-Disposition: form-data; name="primaryFile"; filename="a.bin"\r\n\r\n';
const body = Buffer.concat([Buffer.from(head), Buffer.alloc(Number(bytes)), Buffer.from("\r\n--B--\r\n")]);
const headers = { "content-type": "multipart/form-data; boundary=B", "content-length": body.length };
const request = http.request(url, { method: "POST", headers }, (response) => {
  console.log(response.statusCode);
  response.resume();
});
request.on("error", (error) => console.log(error.code));
request.end(body);
