import io.undertow.Undertow;
import io.undertow.server.HttpHandler;
import io.undertow.server.handlers.accesslog.AccessLogHandler;
import io.undertow.server.handlers.accesslog.AccessLogReceiver;
import io.undertow.server.handlers.encoding.EncodingHandler;
import io.undertow.server.handlers.encoding.ContentEncodingRepository;
import io.undertow.server.handlers.encoding.GzipEncodingProvider;
import io.undertow.server.handlers.resource.PathResourceManager;
import io.undertow.server.handlers.resource.ResourceHandler;
import io.undertow.predicate.Predicates;
import java.io.PrintStream;
import java.nio.file.Path;

/** Serves a folder with Undertow. Arguments: port, folder of files, log file, format. */
public class UndertowServer {
    public static void main(String[] arguments) throws Exception {
        PrintStream out = new PrintStream(arguments[2]);
        AccessLogReceiver receiver = line -> { synchronized (out) { out.println(line); out.flush(); } };
        ResourceHandler files = new ResourceHandler(new PathResourceManager(Path.of(arguments[1])));
        HttpHandler zipped = new EncodingHandler(files, new ContentEncodingRepository().addEncodingHandler("gzip", new GzipEncodingProvider(), 50, Predicates.suffix(".html")));
        HttpHandler logged = new AccessLogHandler(zipped, receiver, arguments[3], UndertowServer.class.getClassLoader());
        Undertow server = Undertow.builder().addHttpListener(Integer.parseInt(arguments[0]), "127.0.0.1").setHandler(logged).build();
        server.start();
    }
}
