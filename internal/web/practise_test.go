package web_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/config"
)

const (
	theQuestion  = "lead-platform-engineer/first-90-days"
	questionPath = "/sets/" + theQuestion
	firstAnswer  = "The first thing I would build is one deployment pipeline, because releases done by hand hold every team up. " +
		"I would give each service an alert and a runbook."
	betterAnswer = firstAnswer + "\n\nBefore that I would sit with each team, read the notes of past outages and time a release. " +
		"I would note lead time and deployment frequency at the start as a baseline."
)

// write replaces what stands in the answer's field.
func (b *tab) write(text string) {
	b.Helper()
	eval[bool](b, fmt.Sprintf(`(a => { a.value = %s; return a.dispatchEvent(new Event("input")); })(document.querySelector("#answer"))`, quoted(text)))
}

// grade has the answer graded and waits until the grade is shown.
func (b *tab) grade() {
	b.Helper()
	eval[bool](b, `document.querySelector("[data-result]").replaceChildren(), true`)
	b.click("[data-submit]")
	b.until(`document.querySelector("[data-result] [data-grade]") && document.activeElement.id === "grade-title"`)
}

func TestPractise(t *testing.T) {
	t.Parallel()
	b := newTab(t, service(t))
	b.visit("/")
	b.arrive(func() { b.click(fmt.Sprintf(".questions a[href=%q]", questionPath)) })
	require.Equal(t, "0 words", b.text("#count"))
	b.write(firstAnswer)
	require.Equal(t, "29 words", b.text("#count"))
	b.grade()
	require.Contains(t, b.text("#grade-title"), "of 100")
	require.Equal(t, 0, b.count(".change"), "there is nothing to compare with")
	require.Positive(t, b.count(".card"))
	require.Equal(t, firstAnswer, eval[string](b, `[...document.querySelectorAll("[data-answer] > *")].filter(e => !e.matches(".ref")).length
		? [...document.querySelector("[data-answer]").childNodes].filter(n => !n.matches?.(".ref")).map(n => n.textContent).join("") : ""`), "the answer is all there")
	require.Contains(t, b.text(".note"), "Estimated without a model")
	require.Contains(t, b.text(".provenance"), "lexical judge")

	// From a quote to its place, from there to the card, by pointing and by clicking.
	b.click(".quotes a")
	number := eval[string](b, `document.activeElement.dataset.to`)
	require.NotEmpty(t, number)
	b.click(fmt.Sprintf(".ref[data-to=%q]", number))
	require.Equal(t, number, eval[string](b, `document.activeElement.dataset.card`))
	require.True(t, eval[bool](b, fmt.Sprintf(`[...document.querySelectorAll("[data-answer] mark")].every(m => m.classList.contains("on") === m.dataset.marks.split(" ").includes(%q))`, number)))
	eval[bool](b, `document.activeElement.blur(), document.querySelector("mark").dispatchEvent(new PointerEvent("pointerover", {bubbles: true, pointerType: "mouse"}))`)
	require.True(t, eval[bool](b, `document.querySelector("mark").dataset.marks.split(" ").every(n => document.querySelector("#c-" + n).classList.contains("on"))`))

	// A starter goes into the draft, with its first gap chosen.
	b.click("[data-starter]")
	require.True(t, eval[bool](b, `document.activeElement.id === "answer"`))
	require.True(t, strings.HasPrefix(eval[string](b, `document.querySelector("#answer").value`), firstAnswer+"\n\n"))
	require.Regexp(t, `^\[[^\]]+\]$`, eval[string](b, `(a => a.value.slice(a.selectionStart, a.selectionEnd))(document.querySelector("#answer"))`))

	// Again: better, and the page says by how much.
	b.write(betterAnswer)
	b.grade()
	require.Equal(t, "up", eval[string](b, `document.querySelector("#grade-title .change").classList[1]`))
	require.Greater(t, b.count(".card .change"), 3)
	require.Equal(t, 2, b.count(".attempts li"))
	require.Equal(t, 2, b.count(".trend circle"))
	require.Equal(t, 1, b.count(".sample"))

	// An earlier attempt can be looked at.
	b.click(".attempts li:last-child button")
	b.until(`!document.querySelector("#grade-title .change")`)

	// All of it is still there after a reload, and the list of questions knows.
	b.reload()
	require.Equal(t, 2, b.count(".attempts li"))
	require.Equal(t, betterAnswer, eval[string](b, `document.querySelector("#answer").value`))
	b.visit("/")
	require.Equal(t, 1, b.count(".best b"))
	require.Contains(t, b.text("[data-tried]"), "24 questions, 1 tried")

	// Export and erase.
	eval[bool](b, `URL.createObjectURL = file => { window.saved = file.text(); return "#"; }, true`)
	b.click("[data-export]")
	var saved struct {
		Attempts map[string][]struct{ Answer string }
	}
	require.NoError(t, json.Unmarshal([]byte(eval[string](b, `window.saved`)), &saved))
	require.Equal(t, firstAnswer, saved.Attempts[theQuestion][0].Answer)
	b.click("[data-erase]")
	b.click("dialog [value=keep]")
	require.Equal(t, 1, b.count(".best b"))
	b.click("[data-erase]")
	b.click("dialog [value=erase]")
	b.until(`!document.querySelector(".best b")`)
	require.Equal(t, 0, eval[int](b, `localStorage.length`))
}

func TestDraftIsKeptAndTheTimerRuns(t *testing.T) {
	t.Parallel()
	b := newTab(t, service(t))
	b.visit(questionPath)
	b.click("#answer")
	b.keys("A thought.")
	b.reload()
	require.Equal(t, "A thought.", eval[string](b, `document.querySelector("#answer").value`))
	require.Equal(t, "2 words", b.text("#count"))
	minutes := func(n string) {
		eval[bool](b, fmt.Sprintf(`(s => { s.value = %q; return s.dispatchEvent(new Event("change")); })(document.querySelector("#minutes"))`, n))
	}
	minutes("3")
	require.Regexp(t, `^(3:00|2:\d\d)$`, b.text("[data-clock]"))
	b.until(`/^2:[0-5]\d$/.test(document.querySelector("[data-clock]").innerText)`)
	minutes("0")
	require.Empty(t, b.text("[data-clock]"))
}

// What the first page offers leads to a grade, not to a form above one.
func TestExampleAnswerIsGradedInOneClick(t *testing.T) {
	t.Parallel()
	b := newTab(t, service(t))
	b.visit("/")
	b.arrive(func() { b.click(".try button") })
	b.until(`document.activeElement.id === "grade-title"`)
	require.True(t, eval[bool](b, inSight))
	require.NotZero(t, b.count("[data-answer] mark"))
	require.Zero(t, b.count(".attempts li"), "it is nobody's attempt")
}

// inSight says whether the grade is where somebody looks.
const inSight = `(r => r.top >= 0 && r.bottom <= innerHeight)(document.querySelector("#grade-title").getBoundingClientRect())`

// Whatever goes wrong is said in words, and costs nobody what they wrote.
func TestFailuresAreSaidAndNothingIsLost(t *testing.T) {
	t.Parallel()
	base, fails := failing(t, service(t))
	b := newTab(t, base)
	b.visit(questionPath)
	said := func() string {
		t.Helper()
		b.until(`document.querySelectorAll(".write .note").length === 1 && !document.querySelector(".progress.busy")`)
		return b.text(".write .note")
	}
	b.write(strings.Repeat("word ", 4100))
	require.Equal(t, "500 characters too many", b.text("#count"))
	b.click("[data-submit]")
	require.Contains(t, said(), "The answer is too long. It has 500 characters too many: at most 20,000 are graded.")
	require.Empty(t, b.calls(), "the service need not be asked")

	b.write(firstAnswer)
	for _, f := range []struct {
		what   failure
		says   string
		offers int // to grade without a model
	}{
		{failure{status: 429, wait: "7", kind: api.RateLimited}, "Try again in 7 seconds.", 0},
		{failure{status: 503, wait: "1", kind: api.ModelUnavailable}, "Try again in a second.", 1},
		{failure{cut: true}, "The service cannot be reached. Nothing that you wrote is lost.", 0},
	} {
		fails(f.what)
		b.click("[data-submit]")
		b.until(`document.querySelector(".write .note")?.innerText.includes(` + quoted(f.says) + `)`)
		require.Contains(t, said(), f.says)
		require.Equal(t, f.offers, b.count(".write .note button"), f.says)
		require.Equal(t, firstAnswer, eval[string](b, `document.querySelector("#answer").value`))
	}
	fails(failure{})
	b.grade()
	require.Zero(t, b.count(".write .note"))
}

func TestPractiseByKeyboard(t *testing.T) {
	t.Parallel()
	b := newTab(t, service(t))
	b.visit("/")
	// to presses Tab until the focus is where it should be.
	to := func(selector string) {
		t.Helper()
		for range 120 {
			b.keys(kb.Tab)
			if eval[bool](b, fmt.Sprintf("document.activeElement.matches(%q)", selector)) {
				shown := eval[bool](b, `(e => getComputedStyle(e).outlineStyle !== "none" || getComputedStyle(e.closest("li") ?? e).outlineStyle !== "none")(document.activeElement)`)
				require.True(t, shown, "the focus on %s can be seen", selector)
				return
			}
		}
		t.Fatalf("Tab does not lead to %s", selector)
	}
	to(".skip")
	b.keys(kb.Enter)
	to(fmt.Sprintf(".questions a[href=%q]", questionPath))
	b.arrive(func() { b.keys(kb.Enter) })
	to("#answer")
	b.keys("I would build one deployment pipeline first, because releases done by hand hold every team up.")
	b.keys(kb.Enter, chromedp.KeyModifiers(2)) // Ctrl
	b.until(`document.activeElement.id === "grade-title"`)
	to(".ref")
	number := eval[string](b, `document.activeElement.dataset.to`)
	require.True(t, eval[bool](b, `Boolean(document.querySelector("mark.on"))`), "the focus shows what it is about")
	b.keys(kb.Enter)
	require.Equal(t, number, eval[string](b, `document.activeElement.dataset.card`))
	to(".quotes a")
	b.keys(kb.Enter)
	require.Equal(t, number, eval[string](b, `document.activeElement.dataset.to`))
	to("[data-again]")
	b.keys(kb.Enter)
	require.Equal(t, "answer", eval[string](b, `document.activeElement.id`))
}

func TestPractiseWithoutJavaScript(t *testing.T) {
	t.Parallel()
	b := newTab(t, service(t))
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.visit("/")
	b.arrive(func() { b.click(fmt.Sprintf(".questions a[href=%q]", questionPath)) })
	b.do(chromedp.SendKeys(chromedp.CSS("#answer"), "First I would build one deployment pipeline,\nbecause releases done by hand hold every team up."))
	submit := func() {
		t.Helper()
		b.arrive(func() { b.click("[data-submit]") })
		b.do(chromedp.WaitVisible(chromedp.CSS("[data-grade]")))
	}
	submit()
	require.True(t, eval[bool](b, inSight))
	title, err := chromedp.Run(b.ctx, chromedp.TextContent(chromedp.CSS("#grade-title")))
	require.NoError(t, err)
	require.Contains(t, title, "of 100")
	b.do(chromedp.SendKeys(chromedp.CSS("#answer"), "\nEach service gets an alert and a runbook."))
	submit()
	change, err := chromedp.Run(b.ctx, chromedp.TextContent(chromedp.CSS("#grade-title .change")))
	require.NoError(t, err)
	require.Contains(t, change, "more than the last time")
	kept, err := chromedp.Run(b.ctx, chromedp.Value(chromedp.CSS("#answer")))
	require.NoError(t, err)
	require.Contains(t, kept, "a runbook", "the draft is still there")
	eval[bool](b, `(a => { a.value = "word ".repeat(4100); return true; })(document.querySelector("#answer"))`)
	b.arrive(func() { b.click("[data-submit]") })
	require.Contains(t, b.text("[role=alert]"), "The answer is too long. It has 500 characters too many")
	require.Zero(t, b.count("[data-grade]"))
	b.visit("/batches")
	require.Contains(t, b.text("main"), "send the file to the service by hand")
	b.visit("/batches/ba_1")
	require.Contains(t, b.text("main"), "This page needs JavaScript")
	require.Zero(t, b.count("main button:not([hidden] *, dialog *)"), "nothing that does nothing")
	require.Empty(t, b.calls(), "no script called the service")
}

// calls are the requests that scripts sent to the service.
func (b *tab) calls() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, u := range b.requests {
		if strings.HasPrefix(u, b.base+"/v1/") {
			out = append(out, u)
		}
	}
	return out
}

// hostile is an answer that would rather be a page.
const hostile = `</textarea></div></mark><script>alert(1)</script><img src=x onerror="alert(2)"><svg onload=alert(3)>` +
	`<a href="javascript:alert(4)">x</a><style>*{display:none}</style><base href="http://evil.example/"><iframe srcdoc="<script>alert(5)</script>"></iframe>` +
	` {{.}} ${alert(6)} I would build one deployment pipeline first, because releases done by hand hold every team up <b>"'` + "`\u202e"

func TestHostileAnswersStayText(t *testing.T) {
	t.Parallel()
	b := newTab(t, service(t))
	foreign := func() int { // elements that only the answer could have brought
		return b.count("main script, main img, main iframe, main style, main base, main [onload], main [onerror], main a[href^=javascript]")
	}
	b.visit(questionPath)
	b.write(hostile)
	b.grade()
	require.Zero(t, foreign())
	require.Contains(t, b.text("[data-answer]"), "<script>alert(1)</script>")
	// With the whole page made by the server.
	b.arrive(func() { eval[bool](b, `(f => { f.submit(); return true; })(document.querySelector("[data-write]"))`) })
	require.Equal(t, 1, b.count("[data-grade]"))
	require.Zero(t, foreign())
	require.Equal(t, hostile, eval[string](b, `document.querySelector("#answer").value`))

	// A grade whose every word is hostile, as a model might write it.
	grade := map[string]any{
		"status": "graded", "question_id": hostile, "score": 50, "band": "developing",
		"criteria": []any{map[string]any{"id": hostile, "statement": hostile, "kind": "core", "weight": 10, "verdict": "met", "credit": 1, "comment": hostile,
			"evidence": []any{map[string]any{"quote": hostile, "start": 0, "end": len([]rune(hostile)), "match": "exact"}}}},
		"feedback": map[string]any{"summary": hostile, "follow_up": hostile,
			"strengths":    []any{map[string]any{"criterion_id": hostile, "text": hostile, "quote": hostile}},
			"improvements": []any{map[string]any{"criterion_id": hostile, "text": hostile, "starter": hostile, "points": 3}}},
		"integrity":  map[string]any{"flags": []any{hostile}, "spans": []any{map[string]any{"flag": hostile, "start": 0, "end": 5}}},
		"review":     map[string]any{"needed": true, "reasons": []any{hostile}},
		"provenance": map[string]any{"judge": hostile, "model": hostile},
	}
	kept, err := json.Marshal([]any{map[string]any{"at": "2026-11-25T09:00:00Z", "answer": hostile, "grade": grade}})
	require.NoError(t, err)
	eval[bool](b, fmt.Sprintf(`localStorage.setItem(%q, %s), true`, "gradus:attempts:"+theQuestion, quoted(string(kept))))
	b.visit(questionPath)
	b.click(".attempts li button")
	b.until(`document.querySelector("[data-grade]")`)
	require.Zero(t, foreign())
	require.Equal(t, 2, b.count("[data-answer] mark"), "one for the flag and one for the rest")
}

// The tests above count on the browser to complain.
func TestBrowserComplainsOfWhatThePolicyForbids(t *testing.T) {
	t.Parallel()
	b := newTab(t, service(t))
	b.visit("/session")
	for complaint, forbidden := range map[string]string{
		"style-src":     `document.head.append(Object.assign(document.createElement("style"), {textContent: "*{}"}))`,
		"TrustedScript": `document.createElement("b").setAttribute("onclick", "1")`,
		"TrustedHTML":   `document.body.innerHTML = "<b>x</b>"`,
	} {
		eval[bool](b, "(() => { try { "+forbidden+" } catch { return true; } return true; })()")
		b.complains(complaint)
	}
}

// signIn gives a key where the page asks for one.
func (b *tab) signIn(key string) {
	b.Helper()
	b.until(`document.activeElement.id === "key"`) // without a click
	b.arrive(func() { b.keys(key + kb.Enter) })
}

func TestSignInWithAKey(t *testing.T) {
	t.Parallel()
	const key = "a-key-of-more-than-thirty-two-letters"
	base := service(t, func(c *config.Config) { c.APIKeys = []config.Secret{key} })
	b := newTab(t, base)
	b.visit(questionPath + "?from=mail")
	require.Contains(t, eval[string](b, `location.href`), "/session?next=")
	b.signIn("wrong")
	require.Contains(t, b.text("#fault"), "does not know that key")
	b.signIn(key)
	require.Equal(t, questionPath+"?from=mail", eval[string](b, `location.pathname + location.search`))
	require.Empty(t, eval[string](b, `document.cookie`), "no script can read the session")
	b.write(firstAnswer)
	b.grade()
	require.Equal(t, http.StatusOK, eval[int](b, `fetch("/v1/sets").then(r => r.status)`))
	b.arrive(func() { b.click("[name=end]") })
	require.Equal(t, 1, b.count("#key"))
	require.Equal(t, http.StatusUnauthorized, eval[int](b, `fetch("/v1/sets").then(r => r.status)`))
}

// Without the browser: a form, a cookie, and nothing that is not there.
func TestSessionsByHand(t *testing.T) {
	t.Parallel()
	const key = "a-key-of-more-than-thirty-two-letters"
	base := service(t, func(c *config.Config) { c.APIKeys = []config.Secret{key} })
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	client := &http.Client{Jar: jar}
	send := func(method, path string, form url.Values) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(form.Encode()))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r, err := client.Do(req)
		require.NoError(t, err)
		defer func() { _ = r.Body.Close() }()
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		return r.StatusCode, string(body)
	}
	code, body := send("POST", "/session", url.Values{"key": {"wrong"}, "next": {"//evil.example/"}})
	require.Equal(t, http.StatusForbidden, code)
	require.NotContains(t, body, "evil")
	code, _ = send("POST", "/session", url.Values{"key": {" "}})
	require.Equal(t, http.StatusUnprocessableEntity, code)
	code, body = send("POST", "/session", url.Values{"key": {key}, "next": {"/sets/lead-platform-engineer"}})
	require.Equal(t, http.StatusOK, code)
	require.NotContains(t, body, key)
	code, _ = send("GET", "/v1/sets", nil)
	require.Equal(t, http.StatusOK, code)
	code, body = send("GET", "/sets/none", nil)
	require.Equal(t, http.StatusNotFound, code)
	require.Contains(t, body, "There is nothing here.")
}
