import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { eventually, identityOf, startMesh, startProxy } from "./control-kit.ts";

test("a proxy joins with a token and gets a certificate, the policy and the endpoints", async (t) => {
	const { control, logged } = await startMesh(t);
	const cart = startProxy(t, control.address, { joinToken: control.createToken({ identity: identityOf("cart") }) });
	try {
		const identity = await eventually("an identity", () => cart.client.identity.current());
		const certificate = new X509Certificate(identity.chainPem);
		assert.equal(certificate.subjectAltName, `URI:${identityOf("cart")}`);
		assert.ok(certificate.verify(new X509Certificate(identity.rootsPem[0] ?? "").publicKey));
		const snapshot = await eventually("a policy", () => cart.client.policy.current());
		assert.equal(snapshot.version, "1");
		const services = await eventually(
			"endpoints",
			() => cart.client.endpoints.services().length > 0 && cart.client.endpoints.services(),
		);
		assert.deepEqual(services, [
			{
				namespace: "shop",
				service: "cart",
				ports: [
					{
						servicePort: 80,
						protocol: "http",
						endpoints: [
							{
								id: "cart-1",
								address: "10.0.0.7",
								port: 15_006,
								labels: { app: "cart", version: "v1" },
								weight: 1,
								principal: identityOf("cart"),
								healthy: true,
							},
						],
					},
				],
			},
		]);
		await eventually("an acknowledgement", () => control.state().proxies[0]?.inSync);
	} catch (error) {
		console.log(logged, cart.logged, cart.client.status());
		throw error;
	}
});
