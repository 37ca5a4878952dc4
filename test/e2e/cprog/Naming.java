// SPDX-License-Identifier: Apache-2.0
// Curator's own service discovery, for test_recipes_naming.py: registers an instance, and says what
// it finds whenever a line comes in.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.retry.ExponentialBackoffRetry;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.curator.x.discovery.ServiceProvider;
import org.apache.curator.x.discovery.UriSpec;

public final class Naming {
    public static void main(String[] args) throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.newClient(
            args[0], 6000, 6000, new ExponentialBackoffRetry(100, 6));
        client.start();
        Map<String, String> payload = new LinkedHashMap<>();
        payload.put("weight", "4");
        ServiceInstance<Object> mine = ServiceInstance.<Object>builder().name(args[2]).id("java")
            .address("10.0.0.2").port(82).payload(payload)
            .uriSpec(new UriSpec("{scheme}://{address}:{port}")).build();
        ServiceDiscovery<Object> discovery = ServiceDiscoveryBuilder.builder(Object.class)
            .client(client).basePath(args[1]).thisInstance(mine).build();
        discovery.start();
        ServiceProvider<Object> provider =
            discovery.serviceProviderBuilder().serviceName(args[2]).build();
        provider.start();
        System.out.println("ready");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        while (in.readLine() != null) {
            StringBuilder line = new StringBuilder("all");
            provider.getAllInstances().stream()
                .sorted((a, b) -> a.getId().compareTo(b.getId()))
                .forEach(i -> line.append(' ').append(i.getId()).append(',')
                    .append(i.buildUriSpec()).append(',')
                    .append(((Map<?, ?>) i.getPayload()).get("weight")));
            System.out.println(line);
        }
        provider.close();
        discovery.close();
        client.close();
    }
}
