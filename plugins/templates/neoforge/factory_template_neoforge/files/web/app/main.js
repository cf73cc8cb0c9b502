import "./parts/toasts.js";
import "./parts/dialogs.js";
import "./parts/theme.js";
import "./pages/home.js";
import "./pages/list.js";
import "./pages/board.js";
import "./pages/row.js";
import "./pages/form.js";
import "./pages/sign-in.js";
import "./shell.js";

// A service worker needs a secure origin; without one the app works, only not offline.
navigator.serviceWorker?.register("sw.js").catch(() => undefined);
