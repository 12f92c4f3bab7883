package eval_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/eval"
	"github.com/gradus-ai/gradus/internal/evidence"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/judge"
)

// clerk is a judge that does as the answer tells it: "c1=700 c2=?" gives
// criterion c1 credit .7 and cannot assess c2; what is not named is missed.
type clerk struct {
	version string
	mu      sync.Mutex
	judged  []string
	// fail, where set, says what asking about an answer ends in.
	fail func(answer string) error
}

func (c *clerk) Name() string         { return "lexical" }
func (c *clerk) Fingerprint() string  { return "clerk " + c.version }
func (c *clerk) PromptDigest() string { return "" }

func (c *clerk) Judge(ctx context.Context, task judge.Task) (*judge.Judgement, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		if err := c.fail(task.Answer); err != nil {
			return nil, err
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	c.judged = append(c.judged, task.Answer)
	out := &judge.Judgement{}
	for _, criterion := range task.Question.Criteria {
		f := judge.Finding{CriterionID: criterion.ID, Verdict: judge.Missed, Confidence: 0.6}
		for word := range strings.FieldsSeq(task.Answer) {
			value, ok := strings.CutPrefix(word, criterion.ID+"=")
			switch {
			case !ok:
			case value == "?":
				f.Verdict = judge.CannotAssess
			default:
				f.Credit, _ = strconv.Atoi(value)
				f.Verdict = judge.Partial
				if f.Credit == judge.FullCredit {
					f.Verdict = judge.Met
				}
				f.Evidence = []evidence.Quote{{Text: word}}
			}
		}
		out.Findings = append(out.Findings, f)
	}
	return out, nil
}

// noCache computes every grade.
type noCache struct{}

func (noCache) Fetch(ctx context.Context, _ grading.Key, _ bool, compute func(context.Context) (*grading.Record, error)) (*grading.Record, grading.Source, error) {
	r, err := compute(ctx)
	return r, grading.Miss, err
}
func (noCache) Get(context.Context, grading.Key) (*grading.Record, error) {
	return nil, grading.ErrNotFound
}
func (noCache) Forget(context.Context, grading.Key) error { return nil }

// options grade with the clerk, one answer at a time, on a clock that stands
// still.
func options(t *testing.T, c *clerk) eval.Options {
	t.Helper()
	now := func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }
	service, err := grading.New(grading.Config{Lexical: c, Cache: noCache{}, Now: now})
	require.NoError(t, err)
	return eval.Options{Grader: service, Tenant: "local", Concurrency: 1, Now: now}
}

func readGold(t *testing.T, lines ...string) *eval.Gold {
	t.Helper()
	gold, err := eval.ReadGold(strings.NewReader(strings.Join(lines, "\n")))
	require.NoError(t, err)
	return gold
}

var errDown = errors.New("nobody there")
