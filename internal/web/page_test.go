package web_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// fetched is what a browser gets, and what it weighs on the way.
type fetched struct {
	header http.Header
	text   string
	weight int
	status int
}

func fetch(t *testing.T, address string, headers ...string) fetched {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	require.NoError(t, err)
	req.Header.Set("Accept-Encoding", "gzip")
	req.Header.Set("Accept", "text/html")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	f := fetched{header: resp.Header, text: string(raw), weight: len(raw), status: resp.StatusCode}
	if resp.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(strings.NewReader(f.text))
		require.NoError(t, err)
		plain, err := io.ReadAll(z)
		require.NoError(t, err)
		f.text = string(plain)
	}
	return f
}

var (
	fileOf   = regexp.MustCompile(`(?:src|href)="(/static/[^"]+)"`)
	importOf = regexp.MustCompile(`(?m)^(?:import|export) .*from "\./([^"]+)"`)
)

// weight is what a first visit to a page costs, in bytes: the page, its files
// and the modules that they import.
func weight(t *testing.T, base, path string) int {
	t.Helper()
	page := fetch(t, base+path)
	total := page.weight
	seen := map[string]bool{}
	var load func(string)
	load = func(file string) {
		if seen[file] {
			return
		}
		seen[file] = true
		f := fetch(t, base+file)
		require.Equal(t, http.StatusOK, f.status, file)
		require.Contains(t, f.header.Get("Cache-Control"), "immutable", file)
		require.Equal(t, "gzip", f.header.Get("Content-Encoding"), file)
		total += f.weight
		for _, m := range importOf.FindAllStringSubmatch(f.text, -1) {
			load(file[:strings.LastIndex(file, "/")+1] + m[1])
		}
	}
	for _, m := range fileOf.FindAllStringSubmatch(page.text, -1) {
		load(m[1])
	}
	require.Greater(t, len(seen), 2)
	return total
}

func TestPagesAreLight(t *testing.T) {
	t.Parallel()
	base := service(t)
	for _, path := range []string{"/", questionPath, "/batches", "/batches/ba_1"} {
		bytes := weight(t, base, path)
		t.Logf("%s weighs %d bytes", path, bytes)
		require.Less(t, bytes, 50_000, path)
	}
}

func TestFilesAreKeptUntilTheyChange(t *testing.T) {
	t.Parallel()
	base := service(t)
	file := fileOf.FindStringSubmatch(fetch(t, base+"/").text)[1]
	first := fetch(t, base+file)
	require.NotEmpty(t, first.header.Get("ETag"))
	require.Equal(t, http.StatusNotModified, fetch(t, base+file, "If-None-Match: "+first.header.Get("ETag")).status)
	plain := fetch(t, base+file, "Accept-Encoding: identity")
	require.Empty(t, plain.header.Get("Content-Encoding"))
	require.Equal(t, first.text, plain.text)
	old := fetch(t, base+"/static/000000000000/"+file[strings.LastIndex(file, "/")+1:])
	require.Equal(t, "no-cache", old.header.Get("Cache-Control"), "a page of another version")
	require.Equal(t, http.StatusNotFound, fetch(t, base+"/static/x/none.js").status)
	require.Equal(t, http.StatusNotFound, fetch(t, base+"/static/x/..%2fweb.go").status)
}

// Evidence that is not in the answer is shown, and said not to be there.
func TestWordsThatAreNotInTheAnswerAreSaidSo(t *testing.T) {
	t.Parallel()
	base := service(t)
	view := func(quote string) string {
		body := fmt.Sprintf(`{"answer": "I would look around.", "grade": {"criteria": [{"id": "a-look", "verdict": "met", "weight": 10, "credit": 1,
			"evidence": [{"quote": %q, "start": 2, "end": 12}]}]}}`, quote)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/view", strings.NewReader(body))
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		shown, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode, "%s", shown)
		return string(shown)
	}
	const said = "These words are not in the answer."
	require.NotContains(t, view("would look"), said)
	require.Contains(t, view("would look"), `<mark class="met d1" data-marks="1">would look</mark>`)
	require.Contains(t, view("would leave"), said)
	require.NotContains(t, view("would leave"), "<mark class=\"met")
}

func TestPagesAllowNothingFromElsewhereAndNothingInline(t *testing.T) {
	t.Parallel()
	base := service(t)
	for _, path := range []string{"/", "/sets/lead-platform-engineer", questionPath, "/batches", "/session", "/nothing", "/sets/none/none"} {
		f := fetch(t, base+path)
		policy := f.header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self';", "style-src 'self';", "frame-ancestors 'none'", "base-uri 'none'", "require-trusted-types-for 'script'"} {
			require.Contains(t, policy, part, path)
		}
		require.NotContains(t, policy, "unsafe", path)
		require.Equal(t, "nosniff", f.header.Get("X-Content-Type-Options"), path)
		require.Equal(t, "no-store", f.header.Get("Cache-Control"), path)
		require.NotRegexp(t, `<script[^>]*>[^<]`, f.text, path)
		require.NotRegexp(t, `<style|\sstyle=|\son[a-z]+=`, f.text, path)
		require.NotRegexp(t, `(src|href|action)="(https?:)?//`, f.text, path)
	}
}

// everyPage is each kind of page, in a state worth looking at.
var everyPage = []struct {
	name, path string
	prepare    func(*tab)
}{
	{"home", "/", nil},
	{"set", "/sets/lead-platform-engineer", nil},
	{"question", questionPath, nil},
	{"grade", questionPath, func(b *tab) {
		b.write(firstAnswer)
		b.grade()
		b.write(betterAnswer)
		b.grade()
	}},
	{"home, tried", "/", func(b *tab) { require.Equal(b, 1, b.count(".best b")) }},
	{"sign-in", "/session", nil},
	{"lost", "/nothing", nil},
	{"batches", "/batches", nil},
	{"a checked file", "/batches", func(b *tab) {
		b.drop("answers.csv", upload(4)+",,no id\n")
		b.until(`document.querySelector("[data-checked]:not([hidden])")`)
	}},
	{"batch", "/batches/ba_test", func(b *tab) { b.until(`document.querySelector(".matrix tr[data-at]")`) }},
	{"drawer", "/batches/ba_test", func(b *tab) {
		b.until(`document.querySelector(".matrix tr[data-at]")`)
		b.click(".matrix tr[data-at='1'] button")
		b.until(`document.querySelector("dialog[open] [data-grade]")`)
	}},
	{"no such batch", "/batches/ba_none", func(b *tab) { b.until(`!document.querySelector("[data-state]").innerText.includes("Reading")`) }},
}

// withBatch is a service that has graded a batch.
func withBatch(t *testing.T) string {
	t.Helper()
	base, clerk := slowly(t, service(t))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/v1/batches", strings.NewReader(upload(30)))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "text/csv")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	clerk.work(30)
	return base
}

func TestPagesKeepNobodyOut(t *testing.T) {
	t.Parallel()
	b := newTab(t, withBatch(t))
	for _, p := range everyPage {
		b.scheme("light")
		b.visit(p.path)
		if p.prepare != nil {
			p.prepare(b)
		}
		b.accessible(p.name, everything)
		b.scheme("dark")
		b.accessible(p.name+" in the dark", colours)
	}
}

func TestPagesFitNarrowScreens(t *testing.T) {
	t.Parallel()
	b := newTab(t, withBatch(t))
	b.size(320, 640)
	for _, p := range everyPage {
		b.visit(p.path)
		if p.prepare != nil {
			p.prepare(b)
		}
		wide := eval[[]string](b, `[...document.querySelectorAll("body *")].filter(e => e.getClientRects().length && !e.closest(".sr, svg, .scroll") && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 120))`)
		require.Empty(t, wide, p.name)
		require.LessOrEqual(t, eval[int](b, `document.documentElement.scrollWidth`), 320, p.name)
	}
}

// shift is how much of the page has moved by itself since it began to load.
func (b *tab) shift() float64 {
	b.Helper()
	return eval[float64](b, `new Promise(done => {
		let sum = 0;
		new PerformanceObserver(list => { for (const e of list.getEntries()) if (!e.hadRecentInput) sum += e.value; }).observe({type: "layout-shift", buffered: true});
		requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(sum), 50)));
	})`)
}

func TestPagesDoNotJump(t *testing.T) {
	t.Parallel()
	b := newTab(t, withBatch(t))
	for _, p := range everyPage {
		b.visit(p.path)
		if p.prepare != nil {
			p.prepare(b)
			b.visit(p.path) // with what the browser keeps
		}
		require.Less(t, b.shift(), .01, "%s shifts", p.name)
	}
	// A grade takes longer than anybody would take for an answer to a click.
	base, fails := failing(t, b.base)
	b = newTab(t, base)
	fails(failure{late: true})
	b.visit(questionPath)
	require.Zero(t, b.count(".attempts li"))
	for range 2 {
		b.click("[data-submit]")
		b.until(`document.activeElement.id === "grade-title"`)
		require.Less(t, b.shift(), .01, "a grade shifts")
		b.visit(questionPath)
	}
	require.Equal(t, 2, b.count(".attempts li"))
}
