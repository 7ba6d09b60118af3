package report

import (
	"bytes"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// probe shows each page in a frame with the width of a desktop screen and of a
// phone, and measures the following: requests, elements that are wider than the
// screen and not in a scrolling box, the theme, and texts that extend beyond
// their figure or are too small to read.
const probe = `<!doctype html><link rel="icon" href="data:,"><title>probe</title>
<iframe src="/one" width="1280"></iframe><iframe src="/one" width="390"></iframe>
<iframe src="/two" width="1280"></iframe><iframe src="/two" width="390"></iframe><pre></pre>
<style>iframe { border: 0; height: 800px; }</style>
<script>
const faults = [];
function measure(frame) {
  const w = frame.contentWindow, d = w.document, width = d.documentElement.clientWidth;
  const say = (text) => faults.push(w.location.pathname + " " + width + ": " + text);
  for (const e of w.performance.getEntriesByType("resource")) say("fetched " + e.name);
  if (d.documentElement.scrollWidth > width) say("the page is " + d.documentElement.scrollWidth + " wide");
  for (const e of d.querySelectorAll("main *")) {
    const box = e.closest(".scroll");
    if ((!box || box === e) && e.getBoundingClientRect().right > width + 0.5) say(e.tagName + " ends beyond the screen");
  }
  const themes = {};
  for (const f of d.querySelectorAll(".canvas")) {
    const shown = [...f.children].filter(e => w.getComputedStyle(e).display !== "none");
    const theme = shown.map(e => e.className).join();
    themes[theme] = (themes[theme] || 0) + 1;
    const seen = [...shown[0].querySelectorAll("svg")].filter(e => e.getBoundingClientRect().width > 0);
    if (seen.length != 1) say(seen.length + " layouts of one figure are shown");
    const svg = seen[0], frame = svg.getBoundingClientRect();
    if (f.scrollWidth > f.clientWidth) say("a figure scrolls sideways");
    for (const text of svg.querySelectorAll("text")) {
      const r = text.getBoundingClientRect();
      if (r.left < frame.left - 1 || r.right > frame.right + 1 || r.top < frame.top - 3 || r.bottom > frame.bottom + 3)
        say("text " + text.textContent + " leaves " + svg.querySelector("title").textContent);
      const size = parseFloat(w.getComputedStyle(text).fontSize) * frame.width / svg.viewBox.baseVal.width;
      if (size < 8) say("text " + text.textContent + " is " + size + " px high");
    }
  }
  for (const theme in themes) say(themes[theme] + " figures are " + theme);
}
onload = () => {
  document.querySelectorAll("iframe").forEach(measure);
  document.querySelector("pre").textContent = faults.join("\n");
};
</script>`

// TestBrowser shows a report of one run and a report of two runs in a headless
// Chromium, on a desktop and on a phone, light and dark.
func TestBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser, which -short leaves out")
	}
	chromium := findChromium(t)
	dir := t.TempDir()
	lora := synthetic{method: "lora", epochs: 3, seed: 17}
	dirs := []string{whole().write(t, filepath.Join(dir, "one")),
		lora.write(t, filepath.Join(dir, strings.Repeat("a_long_name_", 12)))}
	pages, figures := map[string][]byte{}, map[string]int{}
	for i, path := range []string{"/one", "/two"} {
		r, err := Read(dirs[:i+1])
		must(t, err)
		pages[path], figures[path] = written(t, r.HTML), len(r.Figures())
	}
	for _, dark := range []bool{false, true} {
		t.Run(fmt.Sprintf("dark=%v", dark), func(t *testing.T) {
			lines, console, requests := browse(t, chromium, pages, dark)
			if console != "" {
				t.Errorf("console:\n%s", console)
			}
			if slices.Sort(requests); !slices.Equal(requests, []string{"/", "/one", "/one", "/two", "/two"}) {
				t.Errorf("requests %q; want none but the pages", requests)
			}
			theme := map[bool]string{true: "dark", false: "light"}[dark]
			var want []string
			for _, path := range []string{"/one", "/two"} {
				for _, width := range []int{1280, 390} {
					want = append(want, fmt.Sprintf("%s %d: %d figures are %s", path, width, figures[path], theme))
				}
			}
			if d := cmp.Diff(want, lines); d != "" {
				t.Errorf("what the browser says (-want +got):\n%s", d)
			}
		})
	}
}

func findChromium(t *testing.T) string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no chromium, chromium-browser or google-chrome in PATH")
	return ""
}

// browse returns what the probe found, the console's messages and the requests.
func browse(
	t *testing.T, chromium string, pages map[string][]byte, dark bool,
) (lines []string, console string, requests []string) {
	t.Helper()
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		requests = append(requests, r.URL.Path)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if r.URL.Path == "/" {
			fmt.Fprint(w, probe)
			return
		}
		w.Write(pages[r.URL.Path])
	}))
	defer server.Close()
	scheme := map[bool]int{true: 0, false: 1}[dark]
	c := exec.Command(chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--hide-scrollbars", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--user-data-dir="+t.TempDir(),
		"--enable-logging=stderr", fmt.Sprintf("--blink-settings=preferredColorScheme=%d", scheme),
		"--window-size=1400,900", "--virtual-time-budget=2000", "--dump-dom", server.URL)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		t.Skipf("chromium does not run here: %v\n%s", err, stderr.String())
	}
	found := regexp.MustCompile(`(?s)<pre>(.*)</pre>`).FindStringSubmatch(stdout.String())
	if found == nil {
		t.Fatalf("the probe is not in the page:\n%.2000s\n%s", stdout.String(), stderr.String())
	}
	for line := range strings.Lines(stderr.String()) {
		if strings.Contains(line, "CONSOLE") {
			console += line
		}
	}
	return strings.Split(html.UnescapeString(found[1]), "\n"), console, requests
}
