package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// A test is on one document at a time. It gets to another by visit or arrive
// alone, which return when that one has loaded: its modules have run by then, so
// that whatever is clicked is listened to. All that a test asks, it asks of the
// document that it is on; once the tab has another, the test fails and says so,
// however quick or slow the machine is.

// visit opens a path of the service.
func (b *tab) visit(path string) {
	b.Helper()
	to := call(b, page.Navigate, page.NavigateParams{URL: b.base + path})
	require.Empty(b, to.ErrorText, path)
	b.settle(path, func(loaded cdp.LoaderID) bool { return loaded == to.LoaderID })
}

// arrive does what leads to another document, and waits for that one.
func (b *tab) arrive(leave func()) {
	b.Helper()
	leave()
	b.settle("another page", func(loaded cdp.LoaderID) bool { return loaded != b.loader })
}

// reload loads the page anew.
func (b *tab) reload() {
	b.Helper()
	b.arrive(func() { call(b, page.Reload, page.ReloadParams{}) })
}

// settle waits until a document has loaded, and puts the test on it.
func (b *tab) settle(what string, is func(loaded cdp.LoaderID) bool) {
	b.Helper()
	b.eventually(func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if !is(b.loaded) {
			return fmt.Errorf("%s has not loaded", what)
		}
		b.loader, b.world = b.loaded, b.newest
		return nil
	})
}

// eventually waits until try succeeds.
func (b *tab) eventually(try func() error) {
	b.Helper()
	end := time.NewTimer(within)
	defer end.Stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-end.C:
			require.NoError(b, err)
		}
	}
}

// eval evaluates JavaScript; a promise is waited for.
func eval[T any](b *tab, script string) T {
	b.Helper()
	out, err := evaluate[T](b, script)
	require.NoError(b, err, script)
	return out
}

// evaluate fails the test where it is no longer on the page; what the script
// throws is returned.
func evaluate[T any](b *tab, script string) (T, error) {
	b.Helper()
	b.mu.Lock()
	left := b.loaded != b.loader
	if b.world == "" { // a page without scripts has none until it is asked something
		b.world = b.newest
	}
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(b.ctx, within)
	defer cancel()
	var out T
	var thrown *chromedp.ExceptionError
	err := errors.New("the tab has another page now, and the test did not wait for it: use arrive")
	if !left {
		out, err = chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise, func(p *runtime.EvaluateParams) { p.UniqueContextID = b.world }))
	}
	if !errors.As(err, &thrown) {
		require.NoError(b, err, script)
	}
	return out, err
}

// until waits for a condition of this page. What it throws is a condition that
// does not hold yet.
func (b *tab) until(condition string) {
	b.Helper()
	b.eventually(func() error {
		b.Helper()
		holds, err := evaluate[bool](b, "Boolean("+condition+")")
		if err == nil && !holds {
			err = fmt.Errorf("does not come true: %s", condition)
		}
		return err
	})
}

// complains waits until the browser has complained as expected, which is then no
// fault of the test.
func (b *tab) complains(expected string) {
	b.Helper()
	b.eventually(func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		at := slices.IndexFunc(b.faults, func(fault string) bool { return strings.Contains(fault, expected) })
		if at < 0 {
			return fmt.Errorf("the browser says nothing of %s: %q", expected, b.faults)
		}
		b.faults = slices.Delete(b.faults, at, at+1)
		return nil
	})
}

// text is what a reader sees of the first element that matches.
func (b *tab) text(selector string) string {
	b.Helper()
	return eval[string](b, fmt.Sprintf("document.querySelector(%q).innerText", selector))
}

func (b *tab) count(selector string) int {
	b.Helper()
	return eval[int](b, fmt.Sprintf("document.querySelectorAll(%q).length", selector))
}

// click clicks with the mouse on the first element that matches, where it is, as
// soon as it is there, stands still and lies under nothing else.
func (b *tab) click(selector string) {
	b.Helper()
	type point struct{ X, Y float64 }
	var at, before point
	b.eventually(func() error {
		b.Helper()
		var err error
		before = at
		if at, err = evaluate[point](b, fmt.Sprintf(`(e => {
			e.scrollIntoView({block: "center", behavior: "instant"});
			const r = e.getClientRects()[0];
			const at = {x: r.x + r.width / 2, y: r.y + r.height / 2};
			const top = document.elementFromPoint(at.x, at.y);
			if (!e.contains(top)) throw new Error("it lies under " + top?.outerHTML.slice(0, 120));
			return at;
		})(document.querySelector(%q))`, selector)); err != nil {
			return fmt.Errorf("click %s: %w", selector, err)
		}
		if at != before {
			return fmt.Errorf("click %s: it moves", selector)
		}
		return nil
	})
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

// quoted is a Go string as JavaScript has it.
func quoted(s string) string {
	out, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always encodes
	}
	return string(out)
}
