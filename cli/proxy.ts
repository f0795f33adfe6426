/** `meshscope proxy`: declares the flags from their table; everything heavy is loaded when it runs. */
import type { DefineCommand } from "./command.ts";
import { collect } from "./command.ts";
import { PROXY_OPTIONS } from "./proxy/options.ts";

const HELP = `
One proxy beside one service. The app listens on loopback and calls --outbound; peers call --inbound.

Examples:
  $ meshscope proxy --service shop/orders --inbound 0.0.0.0:15006=127.0.0.1:8080 --control https://mesh:4340 --token msj1.… --state /var/lib/meshscope-proxy
  $ meshscope proxy --service shop/web --outbound 127.0.0.1:15001 --upstream 127.0.0.1:9001=orders:8080 --mesh mesh.yaml
  $ meshscope proxy --service shop/db --inbound :15432=127.0.0.1:5432@5432/tcp --mesh mesh.yaml --mtls-cert c.pem --mtls-key k.pem --mtls-ca ca.pem
  $ meshscope proxy --workloads workloads.yaml --control https://mesh:4340 --state /var/lib/meshscope-proxy

A file of workloads:
  workloads:
    - service: shop/orders
      inbound: 0.0.0.0:15101=127.0.0.1:8080
      outbound: 127.0.0.1:15001
      token-file: /run/orders.token
    - service: shop/payments
      inbound: [0.0.0.0:15102=127.0.0.1:9090@9090/grpc]
      token-file: /run/payments.token
`;

export const define: DefineCommand = (command, context, finish) => {
	for (const { name, placeholder, help, repeatable } of PROXY_OPTIONS) {
		const flags = `--${name} <${placeholder}>`;
		if (repeatable) command.option(flags, help, collect);
		else command.option(flags, help);
	}
	command
		// Unknown flags are left to the settings, which report them together with every other fault.
		.allowUnknownOption()
		.argument("[unexpected...]")
		.usage("[options]")
		.addHelpText("after", HELP);
	command.action(async (leftover: readonly string[], values: Readonly<Record<string, unknown>>) => {
		const { loadProxySettings } = await import("./proxy/settings.ts");
		const { kebabNames } = await import("./settings/flag-names.ts");
		const input = { flags: kebabNames(values), leftover, env: context.env };
		const { becomeLean, runSettings } = await import("./proxy/lean-process.ts");
		const { loadNodeSettings } = await import("./proxy/node-settings.ts");
		const settings =
			values["workloads"] === undefined
				? { kind: "workload" as const, settings: loadProxySettings(input) }
				: { kind: "node" as const, settings: loadNodeSettings(input) };
		becomeLean(settings, context.env);
		finish(await runSettings(settings, context));
	});
};
