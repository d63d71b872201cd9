// Why something was not done, in words. Our server says it itself; a proxy before it answers with a
// page of its own, in English and for its operator, and gets words of ours instead.

import { through } from "./address.js";

const OURS = /^(application\/json|text\/plain)/;
const words = new Map(); // by status; "" for all others

/** @param fragment of <data value="status">sentence</data> */
export function learnWords(fragment) {
  for (const data of fragment.querySelectorAll("data")) words.set(data.value, data.textContent);
}

/** The sentence of an answer that is no success. */
export async function sentenceOf(answer) {
  const told = answer.headers.get("content-type") ?? "";
  const body = OURS.test(told) ? await answer.text().catch(() => "") : "";
  if (body && told.startsWith("text/plain")) return body;
  try {
    const { sentence } = JSON.parse(body);
    if (sentence) return sentence;
  } catch {
    // It is the proxy's.
  }
  return words.get(String(answer.status)) ?? words.get("");
}

/** Sees to it that Gradio, which shows the body of a failed request as it is, gets a sentence. */
export function tellGradio(route) {
  through(route, async (send, options) => {
    const answer = await send(options).catch(() => null);
    if (answer?.ok) return answer;
    const told = answer ? await sentenceOf(answer) : words.get("");
    return new Response(told, { status: answer?.status ?? 503 });
  });
}
