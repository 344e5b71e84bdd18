import { expect, test } from "vitest";
import { readProblem } from "../src/problem.js";

test("an error of the service is read whole", () => {
  const text = '{"detail": "Busy.", "error_code": "SERVICE_BUSY", "request_id": "r1"}';
  const error = readProblem(503, text, "4");
  expect(error).toMatchObject({ code: "SERVICE_BUSY", status: 503, retryAfterS: 4 });
  expect(error).toMatchObject({ message: "Busy.", requestId: "r1" });
});

test.each(["<html>502 Bad Gateway</html>", "", "null", "[1]", '{"error_code": 5}'])(
  "an answer of a proxy, %j, is told apart",
  (text) => {
    const error = readProblem(502, text, null);
    expect(error).toMatchObject({ code: "NOT_OURS", status: 502, retryAfterS: null });
    expect(error.message).toBe("NOT_OURS (HTTP 502)");
  },
);

test("a date or nonsense in Retry-After is no number of seconds", () => {
  expect(readProblem(503, "{}", "Wed, 21 Oct 2026 07:28:00 GMT").retryAfterS).toBeNull();
});
