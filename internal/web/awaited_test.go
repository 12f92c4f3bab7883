package web_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
)

// teller stands before a service and tells of grades as the test says.
type teller struct {
	t     *testing.T
	tells chan string // pieces of the stream; an empty one ends it, as the page does after a last event
}

// telling puts a teller before the service at base and returns its address.
func telling(t *testing.T, base string) (string, *teller) {
	t.Helper()
	target, err := url.Parse(base)
	require.NoError(t, err)
	l := &teller{t: t, tells: make(chan string)}
	mux := http.NewServeMux()
	mux.Handle("/", &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }})
	mux.HandleFunc("POST /v1/grades", func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Accept"), "text/event-stream") {
			http.Error(w, "the page does not ask for events", http.StatusNotAcceptable)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for {
			select {
			case piece := <-l.tells:
				if piece == "" {
					return
				}
				_, _ = w.Write([]byte(piece))
				w.(http.Flusher).Flush()
			case <-r.Context().Done():
				return
			}
		}
	})
	ts := httptest.NewServer(mux)
	t.Cleanup(func() {
		ts.CloseClientConnections()
		ts.Close()
	})
	return ts.URL, l
}

func (l *teller) tell(piece string) {
	l.t.Helper()
	select {
	case l.tells <- piece:
	case <-time.After(within):
		require.Fail(l.t, "nobody takes what is told")
	}
}

func (l *teller) event(name string, data any, fields ...string) {
	l.t.Helper()
	body, err := json.Marshal(data)
	require.NoError(l.t, err)
	l.tell(strings.Join(append(fields, "event: "+name, "data: "+string(body)), "\n") + "\n\n")
}

func (l *teller) criterion(id string, verdict api.Verdict) {
	l.t.Helper()
	l.event(api.EventCriterion, api.CriterionGrade{ID: id, Statement: "A claim.", Kind: "core", Verdict: verdict, Evidence: []api.Quote{}})
}

// waiting has an answer graded and waits until the page shows what is awaited.
func (b *tab) waiting() {
	b.Helper()
	b.click("[data-submit]")
	b.until(`document.querySelector(".deciding")`)
}

// verdicts are what the rows say, without what they are about.
func (b *tab) verdicts() []string {
	b.Helper()
	return eval[[]string](b, `[...document.querySelectorAll(".deciding .verdict")].map(v => v.innerText.trim())`)
}

func TestCriteriaAreShownAsTheyAreDecided(t *testing.T) {
	t.Parallel()
	real := service(t)
	client, err := api.NewClient(real, "", nil)
	require.NoError(t, err)
	question, err := client.Question(t.Context(), theQuestion, false)
	require.NoError(t, err)
	var core []string
	for _, c := range question.Criteria {
		if c.Kind == "" || c.Kind == "core" {
			core = append(core, c.ID)
		}
	}
	grade, err := client.Grade(t.Context(), api.GradeRequest{QuestionID: theQuestion, Answer: firstAnswer})
	require.NoError(t, err)

	base, l := telling(t, real)
	b := newTab(t, base)
	b.visit(questionPath)
	b.write(firstAnswer)
	b.waiting()
	want := make([]string, len(core))
	for i := range want {
		want[i] = "Not yet"
	}
	require.Equal(t, want, b.verdicts(), "a row for each from the beginning")
	places := func() []float64 {
		return eval[[]float64](b, `[...document.querySelectorAll(".deciding li")].map(r => r.offsetTop + r.offsetHeight)`)
	}
	before := places()
	decide := func(i int, verdict api.Verdict, says, tally string) {
		t.Helper()
		l.criterion(core[i], verdict)
		b.until(fmt.Sprintf(`document.querySelectorAll(".deciding .verdict")[%d].innerText.trim() === %q`, i, says))
		want[i] = says
		require.Equal(t, want, b.verdicts(), "and no other")
		require.Equal(t, tally, b.text(".deciding .faint"))
		require.Equal(t, before, places(), "no row moves")
	}
	decide(2, api.Met, "Met", fmt.Sprintf("1 of %d decided", len(core)))
	require.Equal(t, 1, b.count(".deciding .verdict.met .shape.met"), "by its shape too")
	l.tell("event: ping\ndata: {}\n\n: nothing\n\n")
	decide(0, api.Missed, "Missed", fmt.Sprintf("2 of %d decided", len(core)))
	decide(2, api.Partial, "In part", fmt.Sprintf("2 of %d decided", len(core)))
	l.event(api.EventCriterion, api.CriterionGrade{ID: "avoided", Kind: "pitfall", Verdict: api.Missed})
	decide(1, api.CannotAssess, "Not judged", fmt.Sprintf("3 of %d decided", len(core)))
	require.Less(t, b.shift(), .01, "the page shifts")
	b.accessible("while a grade is awaited", everything)
	b.scheme("dark")
	b.accessible("while a grade is awaited, in the dark", colours)
	b.scheme("light")
	require.Zero(t, b.count("[data-grade]"))

	body, err := json.Marshal(grade)
	require.NoError(t, err)
	l.tell("event: grade\ndata: " + string(body[:700])) // an event arrives in pieces
	l.tell(string(body[700:]) + "\n\n")
	b.until(`document.querySelector("[data-grade]") && document.activeElement.id === "grade-title"`)
	require.Zero(t, b.count(".deciding"))
	require.Equal(t, 1, b.count(".attempts li"))
	require.Empty(t, b.text(".progress"))

	// Another try: what was there comes back when it fails.
	for _, f := range []struct {
		fails  func()
		says   string
		offers int
	}{
		{func() {
			l.event(api.EventProblem, api.Problem{Type: api.ModelUnavailable.Type, Title: api.ModelUnavailable.Title, Status: 503}, "retry: 7000")
		}, "The model cannot be asked right now. Try again in 7 seconds.", 1},
		{func() { l.tell("event: grade\ndata: {}\n"); l.tell("") }, "The connection was lost before the grade came. Nothing that you wrote is lost.", 0},
	} {
		b.waiting()
		require.Zero(t, b.count("[data-grade]"))
		l.criterion(core[0], api.Met)
		b.until(`document.querySelector(".deciding .verdict.met")`)
		f.fails()
		b.until(`document.querySelector(".write .note")?.innerText.includes(` + quoted(f.says) + `)`)
		require.Zero(t, b.count(".deciding"))
		require.Equal(t, 1, b.count("[data-grade]"), "the grade before")
		require.Equal(t, f.offers, b.count(".write .note button"))
		require.Equal(t, firstAnswer, eval[string](b, `document.querySelector("#answer").value`))
	}
}

func TestCriteriaFitNarrowScreensAndNeedNoQuestion(t *testing.T) {
	t.Parallel()
	base, l := telling(t, service(t))
	b := newTab(t, base)
	b.size(320, 640)
	b.visit(questionPath)
	// The criteria may be nothing for this reader.
	eval[bool](b, `(real => { fetch = (url, ...rest) => String(url).startsWith("/v1/sets") ? Promise.resolve(new Response("{}", {status: 403})) : real(url, ...rest); return true; })(fetch)`)
	b.write(firstAnswer)
	b.waiting()
	require.Zero(t, b.count(".deciding li"))
	l.event(api.EventCriterion, api.CriterionGrade{ID: "a-criterion", Statement: hostile + strings.Repeat("x", 200), Kind: "core", Verdict: api.Contradicted})
	l.event(api.EventCriterion, api.CriterionGrade{ID: "a-trap", Statement: "It blames others.", Kind: "pitfall", Verdict: api.Met, Credit: 1})
	b.until(`document.querySelectorAll(".deciding li").length === 2`)
	require.Equal(t, []string{"Opposite", "Pitfall"}, b.verdicts())
	require.LessOrEqual(t, eval[int](b, `document.documentElement.scrollWidth`), 320)
	l.tell("")
	b.until(`document.querySelector(".write .note")`)
}

// A service, or what stands before it, may know no events.
func TestAGradeMayComeAsJSON(t *testing.T) {
	t.Parallel()
	target, err := url.Parse(service(t))
	require.NoError(t, err)
	ts := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Header.Set("Accept", "application/json")
	}})
	t.Cleanup(ts.Close)
	b := newTab(t, ts.URL)
	b.visit(questionPath)
	b.write(firstAnswer)
	b.grade()
	require.Equal(t, 1, b.count(".attempts li"))
	require.Zero(t, b.count(".deciding"))
}
