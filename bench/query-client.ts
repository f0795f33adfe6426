/** Timed reads over one keep-alive connection, as a page or a script would ask. Time ends with the last byte of the body. */
import { Agent, get } from "node:http";

export interface TimedAnswer {
	readonly ms: number;
	readonly status: number;
	readonly body: string;
}

export class QueryClient {
	private readonly agent = new Agent({ keepAlive: true, maxSockets: 1 });
	private readonly origin: string;

	constructor(origin: string) {
		this.origin = origin;
	}

	get(path: string): Promise<TimedAnswer> {
		const start = performance.now();
		return new Promise((resolve, reject) => {
			const call = get(`${this.origin}${path}`, { agent: this.agent }, (response) => {
				const chunks: Buffer[] = [];
				response.on("data", (chunk: Buffer) => chunks.push(chunk));
				response.on("error", reject);
				response.on("end", () => {
					const ms = performance.now() - start;
					resolve({ ms, status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() });
				});
			});
			call.on("error", reject);
		});
	}

	close(): void {
		this.agent.destroy();
	}
}
