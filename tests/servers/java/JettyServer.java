import java.nio.file.Path;
import org.eclipse.jetty.server.CustomRequestLog;
import org.eclipse.jetty.server.RequestLogWriter;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.server.handler.ResourceHandler;
import org.eclipse.jetty.server.handler.gzip.GzipHandler;
import org.eclipse.jetty.util.resource.ResourceFactory;

/** Serves a folder with Jetty. Arguments: port, folder of files, log file, format. */
public class JettyServer {
    public static void main(String[] arguments) throws Exception {
        Server server = new Server();
        ServerConnector connector = new ServerConnector(server);
        connector.setHost("127.0.0.1");
        connector.setPort(Integer.parseInt(arguments[0]));
        server.addConnector(connector);
        ResourceHandler files = new ResourceHandler();
        files.setBaseResource(ResourceFactory.of(server).newResource(Path.of(arguments[1]).toUri()));
        GzipHandler gzip = new GzipHandler();
        gzip.setHandler(files);
        server.setHandler(gzip);
        server.setRequestLog(new CustomRequestLog(new RequestLogWriter(arguments[2]), arguments[3]));
        server.setStopAtShutdown(true);
        server.start();
        server.join();
    }
}
