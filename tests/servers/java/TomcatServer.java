import java.io.File;
import org.apache.catalina.Context;
import org.apache.catalina.Wrapper;
import org.apache.catalina.startup.Tomcat;
import org.apache.catalina.valves.AccessLogValve;

/** Serves a folder with Tomcat. Arguments: port, folder of files, folder of its own, log file, pattern, name=value of the default servlet. */
public class TomcatServer {
    public static void main(String[] arguments) throws Exception {
        File log = new File(arguments[3]);
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(arguments[2]);
        tomcat.setPort(Integer.parseInt(arguments[0]));
        tomcat.getConnector().setProperty("address", "127.0.0.1");
        tomcat.getConnector().setProperty("compression", "on");
        Context context = tomcat.addContext("", arguments[1]);
        Wrapper files = Tomcat.addServlet(context, "default", "org.apache.catalina.servlets.DefaultServlet");
        for (int at = 5; at < arguments.length; at++) {
            String[] parameter = arguments[at].split("=", 2);
            files.addInitParameter(parameter[0], parameter[1]);
        }
        context.addServletMappingDecoded("/", "default");
        context.addMimeMapping("html", "text/html");
        context.addMimeMapping("bin", "application/octet-stream");
        context.addMimeMapping("wav", "audio/wav");
        AccessLogValve valve = new AccessLogValve();
        valve.setDirectory(log.getParent());
        valve.setPrefix(log.getName());
        valve.setSuffix("");
        valve.setRotatable(false);
        valve.setBuffered(false);
        valve.setPattern(arguments[4]);
        tomcat.getHost().getPipeline().addValve(valve);
        tomcat.start();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                tomcat.stop();
            } catch (Exception error) {
                error.printStackTrace();
            }
        }));
        tomcat.getServer().await();
    }
}
