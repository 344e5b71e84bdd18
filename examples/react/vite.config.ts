import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The service under the app's own origin, as a proxy would put it in production.
const proxy = { "/api/background-removal": "http://127.0.0.1:55433" };

export default defineConfig({ plugins: [react()], server: { proxy }, preview: { proxy } });
