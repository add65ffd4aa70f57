import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** Sends a form with a file of the given number of bytes, and prints the status of the response. */
public class Client {
  public static void main(String[] arguments) throws Exception {
    byte[] head = "--B\r\nContent-Disposition: form-data; name=\"primaryFile\"; filename=\"a.bin\"\r\n\r\n"
        .getBytes(StandardCharsets.US_ASCII);
    byte[] end = "\r\n--B--\r\n".getBytes(StandardCharsets.US_ASCII);
    byte[] body = Arrays.copyOf(head, head.length + Integer.parseInt(arguments[1]) + end.length);
    System.arraycopy(end, 0, body, body.length - end.length, end.length);
    HttpRequest request = HttpRequest.newBuilder(URI.create(arguments[0]))
        .header("content-type", "multipart/form-data; boundary=B")
        .POST(HttpRequest.BodyPublishers.ofByteArray(body))
        .build();
    HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    System.out.println(client.send(request, HttpResponse.BodyHandlers.discarding()).statusCode());
  }
}
