package model

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/llm"
	"github.com/gradus-ai/gradus/internal/prompt"
	"github.com/gradus-ai/gradus/internal/rubric"
	"github.com/gradus-ai/gradus/prompts"
)

func TestOneCallGradesAllCriteria(t *testing.T) {
	t.Parallel()
	model := scripted(map[string]string{"all": honest})
	got := grade(t, newJudge(t, model), goodAnswer)
	require.Equal(t, []judge.Verdict{judge.Met, judge.Met, judge.Partial, judge.Missed}, verdicts(got))
	require.Empty(t, got.Doubts)
	require.Equal(t, "Latency is not watched.", got.Findings[2].Comment)
	require.InDelta(t, .8, got.Findings[2].Confidence, 1e-9)
	require.Empty(t, got.Findings[0].Comment, "nothing is lacking where a criterion is met")
	require.Equal(t, "small-1-2026", got.Model)
	require.Equal(t, []string{honest}, got.Replies)
	require.Equal(t, judge.Usage{Calls: 1, PromptTokens: 100, CachedTokens: 40, CompletionTokens: 20}, got.Usage)
	require.Equal(t, []string{"all"}, model.kinds())
}

// opinions makes findings of the given credits, with confidence.
// contradicting turns the finding at index into a contradiction.
// stub is a judge that always says the same.
// Evidence that touches none of the criterion's words is shown to a reader who
// sees nothing else of the answer.
func TestAReplyThatCannotBeReadGetsOneRepairTurnThatTellsTheFault(t *testing.T) {
	t.Parallel()
	broken := strings.Replace(honest, `"met"`, `"excellent"`, 1)
	for _, test := range []struct {
		name, second string
		doubts       []string
	}{
		{"repaired", honest, nil},
		{"still broken", broken, []string{ReplyUnreadable}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			model := scripted(map[string]string{"all": broken, "repair": test.second})
			got := grade(t, newJudge(t, model), goodAnswer)
			require.Equal(t, []string{"all", "repair"}, model.kinds())
			require.Equal(t, test.doubts, got.Doubts)
			require.Equal(t, 2, got.Usage.Calls)
			turns := model.asked[1].Messages
			require.Equal(t, model.asked[0].Messages, turns[:2], "the prefix stays")
			require.Equal(t, llm.Message{Role: llm.Assistant, Text: broken}, turns[2])
			require.Contains(t, turns[3].Text, "the verdict of c1 is not on the menu")
			require.NotContains(t, turns[3].Text, "excellent")
			require.NotContains(t, turns[3].Text, "canary")
			if test.doubts != nil {
				requireNothing(t, got)
			}
		})
	}
}

func requireNothing(t *testing.T, got *judge.Judgement) {
	t.Helper()
	for _, f := range got.Findings {
		require.Equal(t, judge.Finding{CriterionID: f.CriterionID, Verdict: judge.CannotAssess}, f)
	}
}

func TestAReplyCutShortIsAskedForOnceMoreWithTwiceTheRoom(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		again  bool
		doubts []string
	}{
		{"long enough then", false, nil},
		{"cut short again", true, []string{ReplyTruncated}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			model := &fake{}
			model.play = func(llm.Request) (*llm.Reply, error) {
				r := says(honest)
				r.Truncated = len(model.asked) == 1 || test.again
				return r, nil
			}
			got := grade(t, newJudge(t, model), goodAnswer)
			require.Len(t, model.asked, 2)
			require.Equal(t, 2*model.asked[0].MaxTokens, model.asked[1].MaxTokens)
			require.Positive(t, model.asked[0].MaxTokens)
			require.Equal(t, test.doubts, got.Doubts)
			if test.doubts != nil {
				requireNothing(t, got)
			}
		})
	}
}

func TestARefusalIsNoVerdict(t *testing.T) {
	t.Parallel()
	model := &fake{play: func(llm.Request) (*llm.Reply, error) { return &llm.Reply{Refused: true}, nil }}
	got := grade(t, newJudge(t, model, func(c *Config) { c.Second = stub{findings: opinions(0, 0, 0, 0)} }), goodAnswer)
	requireNothing(t, got)
	require.Equal(t, []string{Refused}, got.Doubts)
	require.Len(t, model.asked, 1)
	require.NotNil(t, got.Second, "what another judge thinks may help a person")
	require.Equal(t, "small-1", got.Model)
}

func TestThatTheModelCannotBeAskedIsAnError(t *testing.T) {
	t.Parallel()
	down := errors.New("connection refused")
	for _, thorough := range []bool{false, true} {
		model := &fake{play: func(llm.Request) (*llm.Reply, error) { return nil, down }}
		j := newJudge(t, model, func(c *Config) { c.Thorough = thorough })
		got, err := j.Judge(t.Context(), judge.Task{Question: rollout, Answer: goodAnswer})
		require.ErrorIs(t, err, down)
		require.Nil(t, got)
		require.NotContains(t, err.Error(), "canary")
		require.Len(t, model.asked, 1, "the other criteria are not tried")
	}
}

func TestThoroughAsksForEachCriterionTheFirstOneFirst(t *testing.T) {
	t.Parallel()
	inFlight, most := 0, 0
	var mu sync.Mutex
	arrived := make(chan string, 4)
	release := make(chan struct{})
	model := &fake{play: func(req llm.Request) (*llm.Reply, error) {
		mu.Lock()
		inFlight++
		most = max(most, inFlight)
		mu.Unlock()
		kind := kindOf(req)
		arrived <- kind
		<-release
		mu.Lock()
		inFlight--
		mu.Unlock()
		return says(map[string]string{
			"only canary":   reply(entry("c1", "met", 90, "start with a canary")),
			"only rollback": "no idea", "repair": "no idea",
			"only metrics": reply(entry("c1", "met", 90, "all our dashboards")),
			"only review":  reply(entry("c1", "met", 90, "A colleague goes through my runbook")),
		}[kind]), nil
	}}
	j := newJudge(t, model, func(c *Config) { c.Thorough, c.Parallel = true, 2 })
	done := make(chan *judge.Judgement)
	go func() {
		got, err := j.Judge(t.Context(), judge.Task{Question: rollout, Answer: goodAnswer})
		if err != nil {
			t.Error(err)
		}
		done <- got
	}()
	require.Equal(t, "only canary", <-arrived)
	require.Len(t, model.kinds(), 1, "the rest wait until the prefix is warm")
	release <- struct{}{}
	<-arrived
	<-arrived
	close(release)
	got := <-done
	require.Equal(t, []judge.Verdict{judge.Met, judge.CannotAssess, judge.CannotAssess, judge.Met}, verdicts(got))
	require.Equal(t, []string{EvidenceNotFound, ReplyUnreadable}, got.Doubts)
	require.Equal(t, 2, most)
	require.Equal(t, 5, got.Usage.Calls, "a criterion that had a call of its own is not asked about again")
}

func TestABlankAnswerCostsNothing(t *testing.T) {
	t.Parallel()
	model := scripted(nil)
	got := grade(t, newJudge(t, model), " \n\t")
	require.Equal(t, []judge.Verdict{judge.Missed, judge.Missed, judge.Missed, judge.Missed}, verdicts(got))
	require.Zero(t, got.Usage)
	require.Empty(t, model.kinds())
}

func TestTheMarkIsTheAnswersOwnAndNobodyElseKnowsIt(t *testing.T) {
	t.Parallel()
	model := scripted(map[string]string{"all": honest})
	j := newJudge(t, model)
	grade(t, j, goodAnswer)
	grade(t, j, goodAnswer)
	require.Equal(t, model.asked[0], model.asked[1], "the same answer makes the same prompt")
	m := j.mark(goodAnswer)
	require.Regexp(t, "^[a-z2-7]{10}$", m)
	require.Equal(t, 2, strings.Count(model.asked[0].Messages[1].Text, m))
	require.NotContains(t, model.asked[0].Messages[0].Text, m)
	require.NotEqual(t, m, j.mark(goodAnswer+" "))
	other := newJudge(t, model, func(c *Config) { c.Secret = slices.Repeat([]byte("x"), 16) })
	require.NotEqual(t, m, other.mark(goodAnswer))
	require.Equal(t, j.Fingerprint(), other.Fingerprint(), "the secret does not change a verdict")
}

func TestTheFingerprintCoversWhatCouldChangeAVerdict(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for name, change := range map[string]func(*Config){
		"as it is":         func(*Config) {},
		"thorough":         func(c *Config) { c.Thorough = true },
		"confidence":       func(c *Config) { c.DoubtBelow = .9 },
		"contest":          func(c *Config) { c.ContestAbove = .5 },
		"endpoint":         func(c *Config) { c.Endpoint = "http://elsewhere/v1" },
		"second opinion":   func(c *Config) { c.Second = stub{print: "1"} },
		"another second":   func(c *Config) { c.Second = stub{print: "2"} },
		"the other models": func(c *Config) { c.Completer = others{c.Completer} },
	} {
		print := newJudge(t, scripted(nil), change).Fingerprint()
		require.NotContains(t, seen, print, "%s and %s", name, seen[print])
		seen[print] = name
	}
	require.Equal(t, newJudge(t, scripted(nil)).Fingerprint(), newJudge(t, scripted(nil), func(c *Config) {
		c.DoubtBelow, c.ContestAbove, c.Parallel = DefaultDoubtBelow, DefaultContestAbove, 9
	}).Fingerprint())
}

type others struct{ llm.Completer }

func (others) Models() []string { return []string{"large-1", "small-1"} }

func TestTheCostIsKnownOnlyWhenEveryPriceIs(t *testing.T) {
	t.Parallel()
	price := func(model string, u llm.Usage) (float64, bool) {
		return float64(u.PromptTokens) / 1000, model == "small-1-2026"
	}
	model := scripted(map[string]string{"all": "?", "repair": honest})
	got := grade(t, newJudge(t, model, func(c *Config) { c.Price = price }), goodAnswer)
	require.NotNil(t, got.Usage.CostUSD)
	require.InDelta(t, .2, *got.Usage.CostUSD, 1e-9)

	calls := 0
	mixed := &fake{play: func(llm.Request) (*llm.Reply, error) {
		r := says(honest)
		if calls++; calls == 1 {
			r.Text, r.Model = "?", "mystery"
		}
		return r, nil
	}}
	got = grade(t, newJudge(t, mixed, func(c *Config) { c.Price = price }), goodAnswer)
	require.Nil(t, got.Usage.CostUSD)
}

func TestAJudgeNeedsItsParts(t *testing.T) {
	t.Parallel()
	p, err := prompt.New(prompts.FS)
	require.NoError(t, err)
	for _, cfg := range []Config{
		{Prompts: p, Secret: secret},
		{Completer: scripted(nil), Secret: secret},
		{Completer: scripted(nil), Prompts: p, Secret: []byte("short")},
	} {
		_, err := New(cfg)
		require.Error(t, err)
	}
	j := newJudge(t, scripted(nil))
	require.Equal(t, "model", j.Name())
	require.Equal(t, p.Digest(), j.PromptDigest())
	_, err = j.Judge(t.Context(), judge.Task{Question: &rubric.Question{Text: "?"}, Answer: "a"})
	require.ErrorContains(t, err, "no criteria")
}

func TestManyAnswersAtOnce(t *testing.T) {
	t.Parallel()
	model := scripted(map[string]string{"all": strings.Replace(honest, "90", "40", 1), "only rollback": reply(entry("c1", "missed", 90))})
	j := newJudge(t, model)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			got, err := j.Judge(t.Context(), judge.Task{Question: rollout, Answer: goodAnswer})
			if err != nil || got.Usage.Calls != 2 || got.Findings[1].Verdict != judge.Missed {
				t.Errorf("%+v %v", got, err)
			}
		})
	}
	wg.Wait()
}

func TestPreparedQuestionsAreBounded(t *testing.T) {
	t.Parallel()
	var s sheets
	kept := s.of(rollout)
	require.Same(t, kept, s.of(rollout))
	for i := range 3 * sheetsKept {
		q := *rollout
		q.Text = fmt.Sprint("Question ", i)
		s.of(&q)
		require.LessOrEqual(t, len(s.kept), sheetsKept)
	}
}

func BenchmarkJudge(b *testing.B) {
	answer := strings.Repeat(goodAnswer+" ", 5) // 170 words
	text := honest
	j := newJudge(b, &fake{play: func(llm.Request) (*llm.Reply, error) { return says(text), nil }})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := j.Judge(b.Context(), judge.Task{Question: rollout, Answer: answer}); err != nil {
			b.Fatal(err)
		}
	}
}

// What a model sees is not byte for byte what was sent; its quotes must be
// found all the same.
