package web_test

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/config"
)

// upload is a CSV of answers to the first question: some good, some failing,
// some in doubt.
func upload(n int) string {
	var out strings.Builder
	file := csv.NewWriter(&out)
	_ = file.Write([]string{"id", "question_id", "answer"})
	for i := range n {
		answer := fmt.Sprintf("Candidate %d, first thing: %s", i%40, []string{firstAnswer, betterAnswer, "I would look around.", betterAnswer}[i%4])
		switch {
		case i%20 == 7:
			answer = "fail"
		case i%10 == 3:
			answer += " There is some doubt."
		}
		_ = file.Write([]string{fmt.Sprintf("cand-%03d", i), theQuestion, answer})
	}
	file.Flush()
	return out.String()
}

// drop drops a file on the page as somebody would with the mouse.
func (b *tab) drop(name, content string) {
	b.Helper()
	eval[bool](b, fmt.Sprintf(`(() => {
		const data = new DataTransfer();
		data.items.add(new File([%s], %q));
		return document.querySelector("[data-drop]").dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true})) || true;
	})()`, quoted(content), name))
}

// choose chooses a file as somebody would in the window for it.
func (b *tab) choose(name, content string) {
	b.Helper()
	eval[bool](b, fmt.Sprintf(`(input => {
		const data = new DataTransfer();
		data.items.add(new File([%s], %q));
		input.files = data.files;
		return input.dispatchEvent(new Event("change", {bubbles: true}));
	})(document.querySelector("#file"))`, quoted(content), name))
}

// accept has a checked file graded.
func (b *tab) accept() {
	b.Helper()
	b.arrive(func() { b.click("[data-accept] button") })
}

func TestBatchToItsEnd(t *testing.T) {
	t.Parallel()
	base, clerk := slowly(t, service(t))
	b := newTab(t, base)
	b.visit("/batches")
	rows := upload(40)
	b.drop("answers.csv", rows+",,no id\n")
	b.until(`document.querySelector("[data-checked]:not([hidden])")`)
	require.Equal(t, "1 row cannot be accepted", b.text("#checked-title"))
	require.Contains(t, b.text(".faults tbody"), fmt.Sprintf("%d\t", strings.Count(rows, "\n")+1), "the line is named")
	require.Contains(t, b.text("[data-estimate]"), "40")
	b.accept()
	b.until(`document.querySelector("[data-state]").innerText.includes("40 to go")`)
	require.Contains(t, clerk.upload, "on_error=skip")

	clerk.work(15)
	b.until(`document.querySelector("[data-state]").innerText.includes("25 to go") && document.querySelectorAll(".matrix tbody tr[data-at]").length === 15`)
	require.Equal(t, "30 percent.", eval[string](b, `document.querySelector("[data-says]").textContent`))
	b.visit("/batches/ba_test") // in the middle
	b.until(`document.querySelectorAll(".matrix tbody tr[data-at]").length === 15`)
	eval[bool](b, `(window.row = document.querySelector(".matrix tbody tr[data-at='0']")) !== null`)
	clerk.work(1)
	b.until(`document.querySelectorAll(".matrix tbody tr[data-at]").length === 16`)
	require.True(t, eval[bool](b, `window.row.isConnected && window.row.dataset.at === "1"`), "a row stays the element that somebody is about to click")
	clerk.work(24)
	b.until(`document.querySelector("[data-state]").innerText.startsWith("Finished.") && document.querySelector('[data-n="all"]').innerText === "40"`)
	require.Contains(t, b.text("[data-state]"), "2 failed")
	require.Equal(t, "2", b.text(`[data-n="failed"]`))
	require.Equal(t, "4", b.text(`[data-n="review"]`))
	require.Equal(t, 8, b.count(".missed li"))

	// Filters, search and order, kept in the address.
	b.click(`[name=show][value=review]`)
	require.Equal(t, 4, b.count(".matrix tbody tr[data-at]"))
	require.Equal(t, "4 of 40 shown", b.text("[data-shown]"))
	b.click(`[name=show][value=all]`)
	b.click("#search")
	b.keys("cand-00")
	b.until(`document.querySelectorAll(".matrix tbody tr[data-at]").length === 10`)
	eval[bool](b, `(s => { s.value = "low"; return s.dispatchEvent(new Event("change")); })(document.querySelector("#sort"))`)
	scores := eval[[]float64](b, `[...document.querySelectorAll(".matrix td.score b")].map(e => Number(e.innerText))`)
	require.IsNonDecreasing(t, scores)
	require.Equal(t, "?q=cand-00&sort=low", eval[string](b, `location.search`))
	b.visit("/batches/ba_test?q=cand-00&sort=low")
	b.until(`document.querySelectorAll(".matrix tbody tr[data-at]").length === 10`)

	// The drawer: the whole grade beside the answer that only this browser has.
	b.click(".matrix tbody tr[data-at] button")
	b.until(`document.querySelector("dialog[open] [data-grade]")`)
	first := b.text("#drawer-title")
	require.Contains(t, b.text("dialog [data-answer]"), "Candidate ")
	b.keys(kb.ArrowRight)
	b.until(fmt.Sprintf(`document.querySelector("#drawer-title").innerText !== %q`, first))
	b.keys(kb.Escape)
	b.until(`!document.querySelector("dialog[open]") && document.activeElement.closest("tr").dataset.at === "1"`) // back where one was

	// A row that failed says why.
	b.visit("/batches/ba_test?show=failed")
	b.until(`document.querySelectorAll(".matrix tbody tr[data-at]").length === 2`)
	b.click(".matrix tbody tr[data-at] button")
	b.until(`document.querySelector("dialog[open]")`)
	require.Contains(t, b.text("[data-body]"), "The model took too long")
	b.keys(kb.Escape)

	b.visit("/batches")
	require.Contains(t, b.text("[data-list]"), "40 answers from answers.csv")
	b.until(`document.querySelector("[data-list]").innerText.includes("completed")`)
	b.arrive(func() { b.click("[data-list] a") })
	b.until(`document.querySelector("[data-matrix] tr[data-at]")`)
	b.click("[data-erase]")
	b.arrive(func() { b.click("[data-yes]") })
	require.Equal(t, "/batches", eval[string](b, `location.pathname`))
	require.Equal(t, 1, b.count("[data-mine][hidden]"))
	require.True(t, clerk.purged)
}

func TestBatchIsStopped(t *testing.T) {
	t.Parallel()
	base, clerk := slowly(t, service(t))
	b := newTab(t, base)
	b.visit("/batches")
	b.click(".paste summary")
	b.click("#pasted")
	b.keys(`{"id":"a","answer":"I would look around."}`)
	eval[bool](b, fmt.Sprintf(`(s => { s.value = %q; return s.dispatchEvent(new Event("change", {bubbles: true})); })(document.querySelector("#question"))`, theQuestion))
	b.click("[data-go]")
	b.until(`document.querySelector("[data-accept] button")`)
	require.Equal(t, "1 answer is ready to be graded", b.text("#checked-title"))
	b.accept()
	b.until(`document.querySelector("[data-cancel]:not([hidden])")`)
	require.Contains(t, clerk.upload, "question_id=lead-platform-engineer%2Ffirst-90-days")
	b.click("[data-cancel]")
	b.click("dialog [value=no]")
	require.Contains(t, b.text("[data-state]"), "Grading.")
	b.click("[data-cancel]")
	b.click("[data-yes]")
	b.until(`document.querySelector("[data-state]").innerText.startsWith("Stopped.")`)
}

// Two thousand rows: a few dozen are in the page, and a step of scrolling makes
// no more of them, so that it costs what it costs for a few dozen. How long that
// takes depends on the machine, and is told.
func TestTwoThousandRowsAreSmooth(t *testing.T) {
	t.Parallel()
	base, clerk := slowly(t, service(t))
	b := newTab(t, base)
	b.visit("/batches")
	b.choose("answers.csv", upload(2000))
	b.until(`document.querySelector("[data-accept] button")`)
	b.accept()
	clerk.work(2000)
	b.until(`document.querySelector('[data-n="all"]')?.innerText === "2,000"`)
	require.Less(t, b.count(".matrix tbody tr"), 60)
	type step struct{ Rows, Made, Took float64 }
	steps := eval[[]step](b, `(async () => {
		const region = document.querySelector("[data-matrix]");
		const steps = [];
		let made = 0;
		const observer = new MutationObserver(list => { for (const m of list) made += m.addedNodes.length; });
		observer.observe(region.querySelector("tbody"), {childList: true});
		for (let y = 0; y < region.scrollHeight; y += 900) {
			const start = performance.now();
			region.scrollTop = y;
			region.dispatchEvent(new Event("scroll"));
			region.getBoundingClientRect();
			const took = performance.now() - start;
			await new Promise(requestAnimationFrame);
			steps.push({rows: region.querySelectorAll("tbody tr").length, made, took});
			made = 0;
		}
		return steps;
	})()`)
	require.Greater(t, len(steps), 90)
	for _, s := range steps {
		require.Less(t, s.Rows, 60.0)
		require.Less(t, s.Made, 60.0)
	}
	slices.SortFunc(steps, func(a, b step) int { return cmp.Compare(a.Took, b.Took) })
	t.Logf("a step of scrolling takes %.1f ms, the median of %d", steps[len(steps)/2].Took, len(steps))
	b.until(`document.querySelector(".matrix tbody").innerText.includes("cand-1999")`)
	// The search goes through all of them at once.
	search := eval[float64](b, `(s => { const start = performance.now(); s.value = "cand-1999"; s.dispatchEvent(new Event("input")); return performance.now() - start; })(document.querySelector("#search"))`)
	t.Logf("a search takes %.1f ms", search)
	require.Equal(t, 1, b.count(".matrix tbody tr[data-at]"))
}

// A file with answers to more than one question: each row says which, and its
// cells stand side by side as those of any table do.
func TestBatchOfSeveralQuestions(t *testing.T) {
	t.Parallel()
	const other = "lead-platform-engineer/build-vs-buy"
	b := newTab(t, service(t))
	b.visit("/batches")
	b.drop("answers.csv", "id,question_id,answer\na,"+theQuestion+",I would look around.\nb,"+other+",I would look around.\nc,"+other+",I would buy.\n")
	b.until(`document.querySelector("[data-accept] button")`)
	b.accept()
	b.until(`document.querySelector("[data-state]").innerText.startsWith("Finished.") && document.querySelectorAll(".matrix tbody tr[data-at]").length === 3`)
	require.Equal(t, other, b.text(`.matrix tbody tr[data-at="1"] td.topic`))
	require.Empty(t, eval[[]string](b, `[...document.querySelectorAll(".matrix tr:not(.spacer)")].flatMap(row => {
		const cells = [...row.children].map(c => c.getBoundingClientRect());
		return cells.slice(1).flatMap((c, i) => {
			const before = cells[i];
			const aside = Math.abs(c.left - before.right) < 1 && Math.abs(c.top - before.top) < 1 && Math.abs(c.bottom - before.bottom) < 1;
			return aside ? [] : [row.innerText + ": cell " + (i + 1)];
		});
	})`))

	eval[bool](b, fmt.Sprintf(`(s => { s.value = %q; return s.dispatchEvent(new Event("change", {bubbles: true})); })(document.querySelector(".pick-question select"))`, other))
	b.until(`document.querySelectorAll(".matrix tbody tr[data-at]").length === 2`)
	require.NotZero(t, b.count(".matrix thead .turned"), "a column for each criterion of the one question")
}

// Nobody stands in for the service here: the sample goes in, and every part of
// the page works with what comes out, for somebody who signed in.
func TestSampleBatchOnTheWholeService(t *testing.T) {
	t.Parallel()
	const key = "a-key-of-more-than-thirty-two-letters"
	b := newTab(t, service(t, func(c *config.Config) { c.APIKeys = []config.Secret{key} }))
	b.visit("/batches")
	b.signIn(key)
	b.click("[data-sample]")
	b.until(`document.querySelector("[data-accept] button")`)
	require.Equal(t, "8 answers are ready to be graded", b.text("#checked-title"))
	b.accept()
	b.until(`document.querySelector("[data-state]").innerText.startsWith("Finished.") && document.querySelector('[data-n="all"]').innerText === "8"`)
	id := strings.TrimPrefix(eval[string](b, `location.pathname`), "/batches/")
	b.reload()
	b.until(`document.querySelectorAll(".matrix tbody tr[data-at]").length === 8`)
	b.click(".matrix tbody tr[data-at='1'] button")
	b.until(`document.querySelector("dialog[open] [data-grade]")`)
	require.Contains(t, b.text("dialog [data-answer]"), "paved road")
	require.NotZero(t, b.count("dialog mark"))
	b.keys(kb.Escape)
	for _, kind := range []string{"csv", "jsonl"} {
		saved := eval[string](b, fmt.Sprintf(`fetch(document.querySelector("[data-download=%s]").href).then(r => r.text())`, kind))
		require.Len(t, strings.Split(strings.TrimSpace(saved), "\n"), map[string]int{"csv": 9, "jsonl": 8}[kind], kind)
	}

	// A file with a fault, checked by the service itself.
	b.visit("/batches")
	b.drop("answers.csv", "id,question_id,answer\na,"+theQuestion+",first\na,"+theQuestion+",again\nb,no/such,third\n")
	b.until(`document.querySelector("[data-checked]:not([hidden])")`)
	require.Equal(t, "2 rows cannot be accepted", b.text("#checked-title"))
	require.Regexp(t, `(?s)^3\t.*\n4\t`, b.text(".faults tbody"))
	b.drop("answers.csv", "")
	b.until(`document.querySelector(".checked .fault")`)

	b.visit("/batches/" + id)
	b.until(`document.querySelector("[data-matrix] tr[data-at]")`)
	b.click("[data-erase]")
	b.arrive(func() { b.click("[data-yes]") })
	require.Equal(t, "/batches", eval[string](b, `location.pathname`))
	require.Equal(t, 1, b.count("[data-mine][hidden]"))
	require.Equal(t, 404, eval[int](b, fmt.Sprintf(`fetch("/v1/batches/%s").then(r => r.status)`, id)))
}
