// Photos on their way to the server, by the same route that Gradio's field uses.

const ROUTE = "/studio/gradio_api/upload";

/** Sends files; resolves with the server's sentence where it took none of them, else with "". */
export async function sendPhotos(files) {
  const body = new FormData();
  for (const file of files) body.append("files", file, file.name);
  const answer = await fetch(ROUTE, { method: "POST", body });
  return answer.ok ? "" : answer.text();
}
