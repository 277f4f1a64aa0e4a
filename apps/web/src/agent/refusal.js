/** A request that the agent refuses; apps/PROTOCOL.md lists statuses and codes. */
export class Refusal extends Error {
  constructor(status, code, message) {
    super(message.replace(/\s+/g, " ").trim());
    this.status = status;
    this.code = code;
  }
}

/** Run `action`, and turn its errors into refusals. */
export async function refusing(status, code, action) {
  try {
    return await action();
  } catch (error) {
    throw error instanceof Refusal ? error : new Refusal(status, code, error.message);
  }
}
