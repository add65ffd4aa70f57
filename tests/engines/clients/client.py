# Sends a form with a file of the given number of bytes, and prints the status of the response.
import http.client
import sys
import urllib.parse

url, size = urllib.parse.urlsplit(sys.argv[1]), int(sys.argv[2])
head = b'--B\r\nContent-Disposition: form-data; name="primaryFile"; filename="a.bin"\r\n\r\n'
body = head + bytes(size) + b"\r\n--B--\r\n"
connection = http.client.HTTPConnection(url.netloc)
try:
    connection.request("POST", url.path, body, {"content-type": "multipart/form-data; boundary=B"})
    print(connection.getresponse().status)
except OSError as error:
    print(repr(error))
