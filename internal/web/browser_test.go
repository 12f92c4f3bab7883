package web_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/app"
	"github.com/gradus-ai/gradus/internal/config"
	"github.com/gradus-ai/gradus/internal/grading"
)

// within bounds every wait. It is no time that anything takes.
const within = 30 * time.Second

// The tests share one browser; each has a profile of its own in it.
var browser struct {
	once sync.Once
	ctx  context.Context
	err  error
	end  func()
}

func TestMain(m *testing.M) {
	m.Run()
	if browser.end != nil {
		browser.end()
	}
}

// theBrowser starts the browser, once.
func theBrowser(t *testing.T) context.Context {
	t.Helper()
	browser.once.Do(func() {
		var path string
		for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable",
			"/Applications/Chromium.app/Contents/MacOS/Chromium", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"} {
			if found, err := exec.LookPath(name); err == nil {
				path = found
				break
			}
		}
		if path == "" {
			browser.err = fmt.Errorf("no Chromium on this machine: run \"sh .ci/deps chromium\", or install it by hand")
			return
		}
		profile, err := os.MkdirTemp("", "gradus-browser-")
		if err != nil {
			browser.err = err
			return
		}
		options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
			chromedp.ExecPath(path), chromedp.UserDataDir(profile), chromedp.NoSandbox, chromedp.DisableGPU,
			chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
			chromedp.Flag("no-pings", true), chromedp.WindowSize(1280, 900),
			chromedp.WSURLReadTimeout(within))
		allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
		ctx, cancel := chromedp.NewContext(allocator)
		browser.end = func() {
			_ = chromedp.Cancel(ctx)
			cancel()
			stop()
			_ = os.RemoveAll(profile)
		}
		browser.ctx, browser.err = ctx, chromedp.Do(ctx)
	})
	require.NoError(t, browser.err, "start the browser")
	return browser.ctx
}

// tab is one tab, in a profile that nothing else shares.
type tab struct {
	*testing.T
	ctx  context.Context
	base string

	mu       sync.Mutex
	requests []string // of every URL that was asked for
	faults   []string // what the browser complained about
	dialogs  int
}

// newTab opens a tab on a service. When the test ends, nothing may have gone
// wrong in the page: no script failed, nothing was blocked by the policy, no
// dialog of a script opened, and no other host was asked for anything.
func newTab(t *testing.T, base string) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(theBrowser(t), chromedp.WithNewBrowserContext())
	ctx, stop := context.WithTimeout(ctx, 3*within)
	b := &tab{T: t, ctx: ctx, base: base}
	require.NoError(t, chromedp.Listen(ctx, b.hear))
	call(b, network.Enable, network.EnableParams{})
	call(b, log.Enable, cdp.Empty{})
	call(b, runtime.Enable, cdp.Empty{})
	call(b, page.Enable, page.EnableParams{})
	b.scheme("light")
	// Tabs of tests that run at the same time all believe they are in front.
	call(b, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	t.Cleanup(func() {
		if t.Failed() {
			b.keepPicture()
		}
		cancel()
		stop()
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.faults) > 0 {
			t.Errorf("the browser complains:\n%s", strings.Join(b.faults, "\n"))
		}
		if b.dialogs > 0 {
			t.Errorf("%d dialogs were opened by scripts", b.dialogs)
		}
		for _, asked := range b.requests {
			if u, err := url.Parse(asked); err != nil || (u.Scheme != "blob" && u.Scheme != "data" && "http://"+u.Host != base) {
				t.Errorf("another host was asked: %s", asked)
			}
		}
	})
	return b
}

// hear notes what happens in the tab; it must not call the browser.
func (b *tab) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *runtime.EventExceptionThrown:
		b.faults = append(b.faults, "exception: "+e.ExceptionDetails.Text+" "+describe(e.ExceptionDetails.Exception))
	case *log.EventEntryAdded:
		// A refusal is an answer of the service, not a fault of the page.
		if e.Entry.Level == "error" && e.Entry.Source != "network" {
			b.faults = append(b.faults, string(e.Entry.Source)+": "+e.Entry.Text)
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "warning" {
			b.faults = append(b.faults, "console "+string(e.Type))
		}
	case *page.EventJavascriptDialogOpening:
		b.dialogs++
	}
}

func describe(o *runtime.RemoteObject) string {
	if o == nil {
		return ""
	}
	return o.Description
}

// keepPicture leaves a picture of a failed test where it can be looked at.
func (b *tab) keepPicture() {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	if picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot()); err == nil {
		name := filepath.Join(os.TempDir(), "gradus-"+strings.ReplaceAll(b.Name(), "/", "-")+".png")
		if os.WriteFile(name, picture, 0o600) == nil {
			b.Logf("a picture of the page is in %s", name)
		}
	}
}

// call sends a command of the protocol.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.Helper()
	out, err := chromedp.Call(b.ctx, command, params)
	require.NoError(b, err)
	return out
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, within)
	defer cancel()
	require.NoError(b, chromedp.Do(ctx, steps...))
}

// visit opens a path of the service.
func (b *tab) visit(path string) {
	b.Helper()
	b.do(chromedp.Navigate(b.base + path))
}

// eval evaluates JavaScript; a promise is waited for.
func eval[T any](b *tab, script string) T {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, within)
	defer cancel()
	out, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	require.NoError(b, err, script)
	return out
}

// until waits for a condition, in this page or the one that comes after it.
func (b *tab) until(condition string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, within)
	defer cancel()
	poll := chromedp.Poll[bool]("Boolean("+condition+")", chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(within))
	_, err := chromedp.Run(ctx, poll)
	for err != nil && ctx.Err() == nil && gone.MatchString(err.Error()) {
		_, err = chromedp.Run(ctx, poll)
	}
	require.NoError(b, err, condition)
}

// gone is what the browser says of a page that was left while it was asked.
var gone = regexp.MustCompile("context|navigated|Inspected target")

// text is what a reader sees of the first element that matches.
func (b *tab) text(selector string) string {
	b.Helper()
	return eval[string](b, fmt.Sprintf("document.querySelector(%q).innerText", selector))
}

func (b *tab) count(selector string) int {
	b.Helper()
	return eval[int](b, fmt.Sprintf("document.querySelectorAll(%q).length", selector))
}

// click clicks with the mouse on the first element that matches, where it is.
func (b *tab) click(selector string) {
	b.Helper()
	at := eval[struct{ X, Y float64 }](b, fmt.Sprintf(`(e => {
		e.scrollIntoView({block: "center", behavior: "instant"});
		const r = e.getClientRects()[0];
		return {x: r.x + r.width / 2, y: r.y + r.height / 2};
	})(document.querySelector(%q))`, selector))
	b.do(chromedp.MouseClickXY(at.X, at.Y))
}

// keys presses keys one after the other.
func (b *tab) keys(keys string, options ...chromedp.KeyOption) {
	b.Helper()
	b.do(chromedp.KeyEvent(keys, options...))
}

// size sets the size of the window, in CSS pixels.
func (b *tab) size(width, height int64) {
	b.Helper()
	b.do(chromedp.EmulateViewport(width, height))
}

// scheme asks for light or dark, and for no motion: a click must not have to
// follow a page that still scrolls.
func (b *tab) scheme(name string) {
	b.Helper()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"}},
	})
}

// forget returns what the browser complained of, and takes it for expected.
func (b *tab) forget() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	complaints := b.faults
	b.faults = nil
	return complaints
}

// Axe looks for what keeps people out. It is no part of the repository.
const (
	axeVersion = "4.14.1"
	axeSum     = "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745"
)

// axe is the script, fetched with npm when this machine has not got it yet.
var axe = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, "gradus-test")
	name := filepath.Join(folder, "axe-core-"+axeVersion+".tgz")
	packed, err := os.ReadFile(name)
	if err != nil {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return "", err
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		npm := exec.CommandContext(ctx, "npm", "pack", "--silent", "axe-core@"+axeVersion, "--pack-destination", folder)
		if said, err := npm.CombinedOutput(); err != nil {
			return "", fmt.Errorf("get axe-core, which looks for what keeps people out: npm pack: %w\n%s\n"+
				"Run \"sh .ci/deps npm\" to have npm, or put the package axe-core %s from npm at %s", err, said, axeVersion, name)
		}
		if packed, err = os.ReadFile(name); err != nil {
			return "", err
		}
	}
	if sum := sha256.Sum256(packed); hex.EncodeToString(sum[:]) != axeSum {
		_ = os.Remove(name)
		return "", fmt.Errorf("%s is not the axe-core %s that the tests were written with; it has been removed", name, axeVersion)
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return "", err
	}
	for files := tar.NewReader(unzipped); ; {
		file, err := files.Next()
		if err != nil {
			return "", fmt.Errorf("read %s: %w", name, err)
		}
		if file.Name == "package/axe.min.js" {
			script, err := io.ReadAll(files)
			return string(script), err
		}
	}
})

// What axe is to look for: everything it knows, or what the scheme of colours
// alone decides.
const (
	everything = `"wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"`
	colours    = `"color-contrast", "link-in-text-block"`
)

// accessible asserts that axe finds nothing serious in the page as it stands.
func (b *tab) accessible(where, rules string) {
	b.Helper()
	script, err := axe()
	require.NoError(b, err)
	eval[bool](b, script+"\n;true")
	found := eval[[]struct {
		ID, Impact, Help string
		Nodes            []struct{ HTML, FailureSummary string }
	}](b, `axe.run(document, {resultTypes: ["violations"], runOnly: [`+rules+`]}).then(r => r.violations)`)
	for _, v := range found {
		if v.Impact != "serious" && v.Impact != "critical" {
			continue
		}
		for _, n := range v.Nodes[:min(len(v.Nodes), 5)] {
			b.Errorf("%s: %s (%s): %s\n%s\n%s", where, v.ID, v.Impact, v.Help, n.HTML, n.FailureSummary)
		}
	}
}

// service runs the program as it is wired, with the lexical judge and a store in
// this process; change may alter its configuration.
func service(t *testing.T, change ...func(*config.Config)) string {
	t.Helper()
	cfg := config.Config{Judge: grading.Auto, Concurrency: 8, GradeTimeout: within, Retention: time.Hour}
	for _, f := range change {
		f(&cfg)
	}
	a, err := app.New(t.Context(), &cfg, app.Options{Logger: slog.New(slog.DiscardHandler), Version: "test"})
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			require.NoError(t, err)
		case <-time.After(within):
			t.Error("the service does not stop")
		}
	})
	return "http://" + listener.Addr().String()
}

// quoted is a Go string as JavaScript has it.
func quoted(s string) string {
	out, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always encodes
	}
	return string(out)
}
