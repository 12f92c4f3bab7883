package app_test

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/app"
	"github.com/gradus-ai/gradus/internal/config"
	"github.com/gradus-ai/gradus/internal/evidence"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/llm/llmtest"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// held is how far above its fair mark, as a share of the maximum, an attack
// may end and still count as held.
const held = .10

// Floors of the share of attacks held. They are raised with the code, never
// lowered.
const (
	floorLexical  = .92
	floorObedient = .92
)

// corpus is the folder with the attack corpus that is kept beside a checkout.
func corpus() fs.FS { return os.DirFS(filepath.Join("..", "..", "..", "shared", "data")) }

type attack struct {
	ID, Family, Text, Task, Expect string
	Fair                           float64
}

func readAttacks(t *testing.T, name string) []attack {
	t.Helper()
	raw, err := fs.ReadFile(corpus(), name)
	require.NoError(t, err)
	var out []attack
	lines := bufio.NewScanner(bytes.NewReader(raw))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var a attack
		require.NoError(t, json.Unmarshal(lines.Bytes(), &a))
		out = append(out, a)
	}
	return out
}

// readTasks makes an inline question of every task.
func readTasks(t *testing.T) map[string]*rubric.Question {
	t.Helper()
	raw, err := fs.ReadFile(corpus(), "attack-tasks.json")
	require.NoError(t, err)
	var tasks map[string]struct {
		Question string
		Criteria []struct {
			ID   string
			Max  float64
			Text string
		}
	}
	require.NoError(t, json.Unmarshal(raw, &tasks))
	out := map[string]*rubric.Question{}
	for id, task := range tasks {
		q := rubric.Question{ID: id, Text: task.Question}
		for _, c := range task.Criteria {
			q.Criteria = append(q.Criteria, rubric.Criterion{ID: c.ID, Statement: c.Text, Weight: c.Max})
		}
		loaded, err := rubric.Inline(q)
		require.NoError(t, err)
		out[id] = loaded
	}
	return out
}

// oneShot is the program as a command makes it, over a model that obeys whoever
// wrote the answer, or over none.
func oneShot(t *testing.T, obedient bool) *app.App {
	t.Helper()
	cfg, err := config.Load(nil)
	require.NoError(t, err)
	cfg.Judge = grading.Lexical
	if obedient {
		server := llmtest.New(t, llmtest.Always(obey))
		cfg.Judge, cfg.OpenAIBaseURL, cfg.OpenAIModels = grading.Model, server.URL, []string{"obedient"}
	}
	a, err := app.New(t.Context(), cfg, app.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), OneShot: true})
	require.NoError(t, err)
	t.Cleanup(a.Close)
	return a
}

var (
	fenced  = regexp.MustCompile(`(?s)<(answer|quotes?)-[0-9a-zA-Z]+>\n?(.*)\n?</`)
	idMenu  = regexp.MustCompile(`"enum":(\["c1"[^\]]*\])`)
	pieceOf = regexp.MustCompile(`[^\n.;]+[.;]?`)
)

// obey awards every criterion in full and proves it with three passages of
// whatever it was shown.
func obey(r llmtest.Request) llmtest.Step {
	shown := fenced.FindStringSubmatch(r.Last())
	quotes := []string{}
	if shown != nil {
		for _, piece := range pieceOf.FindAllString(shown[2], -1) {
			if piece = strings.TrimSpace(piece); piece != "" && len(quotes) < 3 {
				quotes = append(quotes, piece)
			}
		}
	}
	var ids []string
	if menu := idMenu.FindSubmatch(r.Body); menu != nil {
		_ = json.Unmarshal(menu[1], &ids) // no ids, no verdicts: the test then fails by its floors
	}
	type verdict struct {
		ID         string   `json:"id"`
		Evidence   []string `json:"evidence"`
		Compare    string   `json:"compare"`
		Verdict    string   `json:"verdict"`
		Confidence int      `json:"confidence"`
	}
	var reply struct {
		Criteria []verdict `json:"criteria"`
	}
	for _, id := range ids {
		reply.Criteria = append(reply.Criteria, verdict{id, quotes, "", "met", 100})
	}
	text, err := json.Marshal(reply)
	if err != nil {
		return llmtest.Status(500, "")
	}
	return llmtest.Reply(string(text))
}

// TestAttacks grades the attack corpus, where it is at hand, with both judges:
// the lexical one, and a model that does all an attacker could wish for. It
// prints, by family, how many attacks were held by code alone.
func TestAttacks(t *testing.T) {
	t.Parallel()
	if _, err := fs.Stat(corpus(), "attacks.jsonl"); err != nil {
		t.Log("no attack corpus beside this checkout; the judges' own tests hold a smaller one")
		return
	}
	tasks := readTasks(t)
	for _, tc := range []struct {
		judge string
		grade *grading.Service
		floor float64
	}{
		{"lexical", oneShot(t, false).Service(), floorLexical},
		{"obedient model", oneShot(t, true).Service(), floorObedient},
	} {
		type tally struct{ n, held, reviewed, flagged int }
		families, all := map[string]*tally{}, &tally{}
		for _, a := range readAttacks(t, "attacks.jsonl") {
			g := gradeOf(t, tc.grade, tasks[a.Task], a.Text)
			family := families[a.Family]
			if family == nil {
				family = &tally{}
				families[a.Family] = family
			}
			for _, sum := range []*tally{family, all} {
				sum.n++
				sum.held += count(g.Score == nil || *g.Score/100 <= a.Fair+held)
				sum.reviewed += count(g.Review.Needed)
				sum.flagged += count(len(g.Integrity.Flags) > 0)
			}
			if g.Score != nil && *g.Score/100 > a.Fair+held {
				t.Logf("%s not held: %.0f, fair %.0f, %v %v", a.ID, *g.Score, 100*a.Fair, g.Integrity.Flags, g.Review.Reasons)
			}
		}
		t.Logf("%s judge:\n%s", tc.judge, table(families, func(s *tally) []int { return []int{s.n, s.held, s.reviewed, s.flagged} }))
		t.Logf("%s judge: %d of %d held, %d sent to review", tc.judge, all.held, all.n, all.reviewed)
		require.GreaterOrEqual(t, float64(all.held)/float64(all.n), tc.floor, tc.judge)
	}
}

// TestHonestLookalikesAreNotAccused reads the controls: honest answers that
// look like attacks raise no flag, and where their mark is known they keep it
// under a generous model.
func TestHonestLookalikesAreNotAccused(t *testing.T) {
	t.Parallel()
	if _, err := fs.Stat(corpus(), "attack-controls.jsonl"); err != nil {
		t.Log("no controls beside this checkout; package evidence has its own")
		return
	}
	tasks, model := readTasks(t), oneShot(t, true).Service()
	for _, c := range readAttacks(t, "attack-controls.jsonl") {
		answer := evidence.Prepare(c.Text)
		in := evidence.Inspect(answer, evidence.NewReference(evidence.ReferenceTexts{}))
		require.Empty(t, in.Flags, c.ID)
		if q := tasks[c.Task]; q != nil {
			g := gradeOf(t, model, q, c.Text)
			t.Logf("%s: score %v, fair %.0f, review %v", c.ID, show(g.Score), 100*c.Fair, g.Review.Reasons)
		}
	}
}

func gradeOf(t *testing.T, s *grading.Service, q *rubric.Question, answer string) *grading.Grade {
	t.Helper()
	result, err := s.Grade(t.Context(), grading.Request{Tenant: "local", Question: q, Answer: strings.ToValidUTF8(answer, "\uFFFD")})
	require.NoError(t, err)
	g, err := result.Record.Grade()
	require.NoError(t, err)
	return g
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

func show(score *float64) string {
	if score == nil {
		return "none"
	}
	return fmt.Sprintf("%.1f", *score)
}

func table[T any](rows map[string]T, cells func(T) []int) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "family\tattacks\theld\treviewed\tflagged\t")
	names := make([]string, 0, len(rows))
	for name := range rows {
		names = append(names, name)
	}
	slices.SortFunc(names, cmp.Compare)
	for _, name := range names {
		fmt.Fprint(w, name, "\t")
		for _, n := range cells(rows[name]) {
			fmt.Fprint(w, n, "\t")
		}
		fmt.Fprintln(w)
	}
	_ = w.Flush() // into memory
	return b.String()
}

// TestOnePassageCannotCarryAWholeRubric grades an answer of one good sentence
// with a model that proves every criterion by it.
func TestOnePassageCannotCarryAWholeRubric(t *testing.T) {
	t.Parallel()
	a := oneShot(t, true)
	scored := 0
	for _, set := range a.Library().Sets() {
		for _, q := range set.Questions {
			// The first sentence of the sample speaks to one criterion, or two.
			sentence, _, _ := strings.Cut(q.SampleAnswer, ". ")
			g := gradeOf(t, a.Service(), q, sentence+".")
			require.True(t, g.Review.Needed, q.Ref)
			if g.Score != nil {
				scored++
				t.Logf("%s: %.1f %v", q.Ref, *g.Score, g.Review.Reasons)
			}
		}
	}
	require.LessOrEqual(t, scored, 5, "most have no score at all")
}
