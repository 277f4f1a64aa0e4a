/** A request that the agent refuses; apps/PROTOCOL.md lists statuses and codes. */
export class Refusal extends Error {
  constructor(status, code, message) {
    super(message.replace(/\s+/g, " ").trim());
    this.status = status;
    this.code = code;
  }
}

/** Run `action`; an error in it becomes a refusal. */
export async function refusing(status, code, action) {
  try {
    return await action();
  } catch (error) {
    throw error instanceof Refusal ? error : new Refusal(status, code, error.message);
  }
}
