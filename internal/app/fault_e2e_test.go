package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/config"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/llm/llmtest"
)

// fault is one way of a model to fail, and what becomes of a grade by it.
type fault struct {
	name string
	// plays is what the model does with the first requests; the last of it is
	// repeated until the model is mended.
	plays []llmtest.Step
	calls int // to the model, retries and repairs included
	// own: a service of its own meets it, for a breaker may open by it; set
	// changes that.
	own bool
	set func(*config.Config)

	// Either a problem of this type …
	problem    api.ProblemType
	retryAfter func(seconds int) bool
	// … or a grade without a score, for this reason …
	reason string
	// … or a whole grade after all.
	recovers bool
}

func between(least, most int) func(int) bool {
	return func(seconds int) bool { return least <= seconds && seconds <= most }
}

// whole is a completion, as bytes on the wire.
func whole(content string) string {
	text, err := json.Marshal(content)
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf(`{"id":"x","object":"chat.completion","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":%s}}]}`, text)
}

// once is how often a call that is not repeated reaches the model; patiently
// one that is, three times.
const once, twice, patiently = 1, 2, 4

func faults() []fault {
	chatter := wordOfModel + " "
	good := verdicts(`"met","confidence":95`, `"met","confidence":90`)
	firstOnly, _, _ := strings.Cut(good, `,{"id":"c2"`)
	unusable := func(name, reply string) fault {
		return fault{name: name, plays: []llmtest.Step{llmtest.Reply(reply)}, calls: twice, reason: "reply_unreadable"}
	}
	unavailable := func(name string, step llmtest.Step) fault {
		return fault{name: name, plays: []llmtest.Step{step}, calls: patiently, own: true, problem: api.ModelUnavailable, retryAfter: between(1, 10)}
	}
	return []fault{
		{name: "429 with a short Retry-After", plays: []llmtest.Step{llmtest.Status(429, "1"), generous}, calls: twice, own: true, recovers: true},
		{name: "429 with a Retry-After beyond our time", plays: []llmtest.Step{llmtest.Status(429, "90")}, calls: once, own: true,
			problem: api.ModelUnavailable, retryAfter: between(85, 90)},
		{name: "429 because the quota is used up", plays: []llmtest.Step{llmtest.Failure(429, "insufficient_quota", chatter)}, calls: once, own: true,
			problem: api.ModelMisconfigured, retryAfter: between(1, 60)},
		{name: "402", plays: []llmtest.Step{llmtest.Failure(402, "billing", chatter)}, calls: once, own: true,
			problem: api.ModelMisconfigured, retryAfter: between(1, 60)},
		{name: "401", plays: []llmtest.Step{llmtest.Failure(401, "invalid_api_key", chatter)}, calls: once, own: true,
			problem: api.ModelMisconfigured, retryAfter: between(1, 60)},
		{name: "404 for the model", plays: []llmtest.Step{llmtest.Failure(404, "model_not_found", chatter)}, calls: once, own: true, problem: api.ModelRejected},
		{name: "400 because the context is too small", plays: []llmtest.Step{llmtest.Failure(400, "context_length_exceeded", chatter)}, calls: once, own: true,
			problem: api.AnswerTooLong},

		{name: "500, then an answer", plays: []llmtest.Step{llmtest.Status(500, ""), generous}, calls: twice, own: true, recovers: true},
		{name: "an answer cut off on the way, then a whole one", plays: []llmtest.Step{llmtest.Cut(), generous}, calls: twice, own: true, recovers: true},
		{name: "a reset connection, then an answer", plays: []llmtest.Step{llmtest.Reset(), generous}, calls: twice, own: true, recovers: true},
		unavailable("500 for good", llmtest.Failure(500, "server_error", chatter)),
		unavailable("502 with a page", llmtest.Body(502, "text/html", "<html>"+strings.Repeat(chatter, 1<<16)+"</html>")),
		unavailable("200 with a page", llmtest.Body(200, "text/html", "<html>"+chatter+"</html>")),
		unavailable("200 with an error in it", llmtest.Body(200, "application/json", `{"error":{"message":"`+chatter+`"}}`)),
		unavailable("no choices", llmtest.NoChoices()),
		unavailable("two JSON objects on the wire", llmtest.Body(200, "application/json", whole(good)+whole(good))),
		unavailable("a compressed bomb", llmtest.GzipBomb(6<<20)),
		{name: "a redirect", plays: []llmtest.Step{llmtest.Redirect("http://169.254.169.254/" + wordOfModel)}, calls: once, own: true, problem: api.ModelRejected},
		{name: "no answer at all", plays: []llmtest.Step{llmtest.Hang()}, calls: once, own: true, problem: api.ModelTimeout,
			set: func(c *config.Config) { c.GradeTimeout = time.Second }},
		{name: "an answer that drips", plays: []llmtest.Step{llmtest.Drip(50 * time.Millisecond)}, calls: once, own: true, problem: api.ModelTimeout,
			set: func(c *config.Config) { c.GradeTimeout = time.Second }},

		{name: "a refusal", plays: []llmtest.Step{llmtest.Refusal()}, calls: once, reason: "refused"},
		{name: "a content filter", plays: []llmtest.Step{llmtest.Filtered()}, calls: once, reason: "refused"},
		{name: "cut at the token limit, twice", plays: []llmtest.Step{llmtest.Truncated(good[:80])}, calls: twice, reason: "reply_truncated"},
		{name: "cut at the token limit, then whole", plays: []llmtest.Step{llmtest.Truncated(good[:80]), generous}, calls: twice, recovers: true},
		{name: "nonsense, then repaired", plays: []llmtest.Step{llmtest.Reply(chatter), generous}, calls: twice, recovers: true},
		unusable("prose", "The score is 87 of 100. "+chatter),
		unusable("half of the JSON", good[:len(good)/2]),
		unusable("ids that are not ours", strings.ReplaceAll(good, `"c2"`, `"c9"`)),
		unusable("an id twice", strings.ReplaceAll(good, `"c2"`, `"c1"`)),
		unusable("an id in another case", strings.ReplaceAll(good, `"c2"`, `"C2"`)),
		unusable("a criterion missing", firstOnly+"]}"),
		unusable("a verdict that is not on the menu", strings.ReplaceAll(good, `"met"`, `"excellent"`)),
		unusable("no verdict", strings.ReplaceAll(good, `"met"`, "null")),
		unusable("a member twice", strings.Replace(good, `"verdict":`, `"verdict":"missed","verdict":`, 1)),
		unusable("a member of its own", strings.Replace(good, `"criteria"`, `"score":100,"criteria"`, 1)),
		unusable("confidence NaN", strings.Replace(good, "95", "NaN", 1)),
		unusable("confidence 1e400", strings.Replace(good, "95", "1e400", 1)),
		unusable("confidence -1", strings.Replace(good, "95", "-1", 1)),
		unusable("confidence in words", strings.Replace(good, "95", `"95"`, 1)),
		unusable("two objects that differ", good+verdicts(`"missed","confidence":95`, `"met","confidence":90`)),
	}
}

// stage is one model that fails in every way, each for answers of its own, and
// services that ask it. One model means one address, and so the same grades.
type stage struct {
	model *llmtest.Server
	cfg   config.Config
	// steady meets the faults after which a model is asked as before; mended
	// comes after each fault, like the next process.
	steady, mended *running

	mu     sync.Mutex
	scenes map[string]*scene
}

// scene is a fault as one answer meets it.
type scene struct {
	fault
	asked  int
	mended bool
}

func newStage(t *testing.T) *stage {
	s := &stage{scenes: map[string]*scene{}}
	s.model = llmtest.New(t, llmtest.Always(s.play))
	s.cfg = settings(s.model, aRedis(t))
	s.steady, s.mended = serve(t, s.cfg), serve(t, s.cfg)
	return s
}

// play finds the scene by the answer, which is in every request about it.
func (s *stage) play(request llmtest.Request) llmtest.Step {
	s.mu.Lock()
	defer s.mu.Unlock()
	for text, scene := range s.scenes {
		if strings.Contains(request.Text(), text) {
			scene.asked++
			if scene.mended {
				return generous
			}
			return scene.plays[min(scene.asked, len(scene.plays))-1]
		}
	}
	return llmtest.Status(http.StatusNotFound, "")
}

func (s *stage) enter(text string, f fault) *scene {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scenes[text] = &scene{fault: f}
	return s.scenes[text]
}

func (s *stage) asked(of *scene) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return of.asked
}

func (s *stage) mend(of *scene) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of.mended = true
}

// TestEveryFaultOfTheModel plays each fault to the whole service, once as it is
// and once with the lexical judge allowed to stand in, then mends the model. No
// failure becomes a number, none is kept, and none is told in the model's words.
func TestEveryFaultOfTheModel(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			strict, lenient := asking(answer(t, "Strictly.")), asking(answer(t, "Leniently."))
			lenient.Fallback = api.JudgeLexical
			// At once: much of what they take is waiting.
			s.meet(t, f, strict, lenient)
		})
	}
}

func (s *stage) meet(t *testing.T, f fault, bodies ...api.GradeRequest) {
	services, requests, scenes := make([]*running, len(bodies)), make([]posted, len(bodies)), make([]*scene, len(bodies))
	for i, body := range bodies {
		services[i] = s.steady.as(t)
		if f.own {
			cfg := s.cfg
			if f.set != nil {
				f.set(&cfg)
			}
			services[i] = serve(t, cfg)
		}
		scenes[i] = s.enter(body.Answer, f)
		requests[i] = services[i].begin(t.Context(), body)
	}
	for i, body := range bodies {
		o := requests[i].ends(t)
		require.NoError(t, o.err)
		require.Equal(t, f.calls, s.asked(scenes[i]), "calls")
		f.requireItsDue(t, o.response, body.Fallback != "")
		if f.recovers {
			continue
		}
		s.mend(scenes[i])
		requireWhole(t, s.mended.as(t).post(body)) // a miss: nothing had been kept
		services[i].post(body).graded(grading.Hit) // and where the model is still avoided, its grades are not
	}
}

func (f fault) requireItsDue(t *testing.T, resp response, fallback bool) {
	t.Helper()
	switch {
	case f.recovers:
		requireWhole(t, resp)
	case f.reason != "":
		f.requireUnscored(t, resp)
	case fallback:
		requireDegraded(t, resp)
	default:
		resp.refused(f.problem)
		if f.retryAfter == nil {
			require.Empty(t, resp.header.Get("Retry-After"))
			return
		}
		require.True(t, f.retryAfter(resp.retryAfter()), "Retry-After %q", resp.header.Get("Retry-After"))
	}
}

func requireWhole(t *testing.T, resp response) {
	t.Helper()
	g := resp.graded(grading.Miss)
	require.InDelta(t, 100, *g.Score, 0)
	require.Equal(t, api.Graded, g.Status)
	require.NotNil(t, g.ID)
	require.Equal(t, "model", g.Provenance.Judge)
	require.False(t, g.Provenance.Degraded)
}

// requireUnscored: the model was asked and gave nothing to judge by. Nobody
// stands in for it.
func (f fault) requireUnscored(t *testing.T, resp response) {
	t.Helper()
	g := resp.graded(grading.Miss)
	require.Equal(t, api.NeedsReview, g.Status)
	require.Contains(t, g.Review.Reasons, f.reason)
	require.Nil(t, g.Score)
	require.Nil(t, g.Band)
	require.Nil(t, g.ID)
	require.False(t, g.Provenance.Degraded)
	require.Equal(t, f.calls, g.Usage.Calls)
	for _, c := range g.Criteria {
		require.Equal(t, api.CannotAssess, c.Verdict)
		require.Zero(t, c.Credit)
	}
	require.NotContains(t, string(resp.body), wordOfModel)
}

// requireDegraded: the lexical judge stood in.
func requireDegraded(t *testing.T, resp response) {
	t.Helper()
	g := resp.graded(grading.Miss)
	require.True(t, g.Provenance.Degraded)
	require.Equal(t, "lexical", g.Provenance.Judge)
	require.Empty(t, g.Provenance.Model)
	require.Nil(t, g.ID)
	require.NotNil(t, g.Score)
	require.NotContains(t, string(resp.body), wordOfModel)
}

func TestAModelThatIsDownIsLeftAloneAndFoundAgain(t *testing.T) {
	t.Parallel()
	var up atomic.Bool
	model := llmtest.New(t, llmtest.Always(func(llmtest.Request) llmtest.Step {
		if up.Load() {
			return generous
		}
		return llmtest.Status(http.StatusInternalServerError, "")
	}))
	r := serve(t, settings(model, ""))
	const breaker = `gradus_model_breaker_open{model="first-model"}`
	first, second := r.begin(t.Context(), asking(answer(t, "First."))), r.begin(t.Context(), asking(answer(t, "Second.")))
	for _, p := range []posted{first, second} {
		o := p.ends(t)
		require.NoError(t, o.err)
		o.refused(api.ModelUnavailable)
	}
	require.InDelta(t, 1, r.metric(breaker), 0)

	calls := model.Calls()
	third := r.post(asking(answer(t, "Third.")))
	third.refused(api.ModelUnavailable)
	require.True(t, between(1, 5)(third.retryAfter()), "as long as the model is left alone")
	require.Equal(t, calls, model.Calls(), "nobody asks")
	lenient := asking(answer(t, "Third."))
	lenient.Fallback = api.JudgeLexical
	requireDegraded(t, r.post(lenient))

	up.Store(true)
	var back response
	until(t, "the model is asked again", func() bool {
		back = r.post(asking(answer(t, "Third.")))
		return back.status == http.StatusOK
	})
	requireWhole(t, back)
	require.Zero(t, r.metric(breaker))
}

func TestAMisusedServiceAsksNoModel(t *testing.T) {
	t.Parallel()
	r := serve(t, settings(llmtest.New(t), ""))
	for name, raw := range map[string]string{
		"an unknown member": `{"question_id":"a/b","answer":"` + canary + `","score":100}`,
		"a lone surrogate":  `{"question_id":"a/b","answer":"\ud800 ` + canary + `"}`,
		"invalid UTF-8":     "{\"question_id\":\"a/b\",\"answer\":\"\xff " + canary + "\"}",
		"a member twice":    `{"answer":"` + canary + `","answer":"` + canary + `"}`,
		"an unknown set":    `{"question_id":"` + canary + `/x","answer":"` + canary + `"}`,
	} {
		resp, err := http.Post(r.url+"/v1/grades", "application/json", strings.NewReader(raw))
		require.NoError(t, err, name)
		require.GreaterOrEqual(t, resp.StatusCode, 400, name)
		require.Less(t, resp.StatusCode, 500, name)
		require.NoError(t, resp.Body.Close())
	}
	http.DefaultClient.CloseIdleConnections()
}
