package web_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
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

// within bounds every wait. It is no time that anything takes, even on a machine
// with more to do than it can.
const within = 2 * time.Minute

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

	// The document that the test is on: see arrive.
	loader cdp.LoaderID
	world  string

	mu       sync.Mutex
	loaded   cdp.LoaderID // the document that has loaded last
	newest   string       // where scripts of the newest document run
	requests []string     // of every URL that was asked for
	faults   []string     // what the browser complained about
	dialogs  int
}

// newTab opens a tab on a service. When the test ends, nothing may have gone
// wrong in the page: no script failed, nothing was blocked by the policy, no
// dialog of a script opened, and no other host was asked for anything.
func newTab(t *testing.T, base string) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(theBrowser(t), chromedp.WithNewBrowserContext())
	b := &tab{T: t, ctx: ctx, base: base}
	require.NoError(t, chromedp.Listen(ctx, b.hear))
	call(b, network.Enable, network.EnableParams{})
	call(b, log.Enable, cdp.Empty{})
	call(b, runtime.Enable, cdp.Empty{})
	call(b, page.Enable, page.EnableParams{})
	call(b, page.SetLifecycleEventsEnabled, page.SetLifecycleEventsEnabledParams{Enabled: true})
	b.scheme("light")
	// Tabs of tests that run at the same time all believe they are in front.
	call(b, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	t.Cleanup(func() {
		if t.Failed() {
			b.keepPicture()
		}
		cancel()
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
	case *page.EventLifecycleEvent:
		if e.Name == "load" {
			b.loaded = e.LoaderID
		}
	case *runtime.EventExecutionContextsCleared:
		b.newest = ""
	case *runtime.EventExecutionContextCreated:
		b.newest = e.Context.UniqueID // pages have no frames
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
	ctx, cancel := context.WithTimeout(b.ctx, within)
	defer cancel()
	out, err := chromedp.Call(ctx, command, params)
	require.NoError(b, err)
	return out
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, within)
	defer cancel()
	require.NoError(b, chromedp.Do(ctx, steps...))
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
