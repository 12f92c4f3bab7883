package importer_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gradus-ai/gradus/internal/importer"
	"github.com/gradus-ai/gradus/internal/rubric"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func compose(t require.TestingT, p *importer.Page, o importer.Options) *importer.Draft {
	d, err := importer.Compose(context.Background(), p, o)
	require.NoError(t, err)
	return d
}

// statements drafts one question and lists what its criteria claim.
func statements(t *testing.T, question, guidance string) []string {
	t.Helper()
	d := compose(t, &importer.Page{Entries: []importer.Entry{{Question: question, Guidance: guidance}}}, importer.Options{})
	var out []string
	for _, c := range d.Set.Questions[0].Criteria {
		out = append(out, c.Statement)
	}
	return out
}

func TestGuidanceIsSplitIntoClaims(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		guidance string
		want     []string
	}{
		{"In your answer, describe the dough, the oven, and the crust.", []string{"Describes the dough", "Describes the oven", "Describes the crust"}},
		{"Explain what you'd check, what you'd bake first, and how you'd know it is done.", []string{"Says what they would check", "Says what they would bake first", "Explains how they would know it is done"}},
		{"Show how you weighed the flour, asked for help, and served it.", []string{"Says how they weighed the flour", "Says how they asked for help", "Says how they served it"}},
		{"Explain how you protect against mould and late deliveries.", []string{"Explains how they protect against mould", "Explains how they protect against late deliveries"}},
		{"Mention grains like rye, spelt, and oats.", []string{"Mentions grains, such as rye, spelt or oats"}},
		{"Describe flours (rye, wheat) and a starter.", []string{"Describes flours, such as rye or wheat", "Describes a starter"}},
		{"Outline a concise definition of sourdough and a plan focused on taste, price, and health.", []string{"Defines sourdough", "Outlines a plan", "Addresses taste", "Addresses price", "Addresses health"}},
		{"Explain taste, price, and storage considerations.", []string{"Explains taste considerations", "Explains price considerations", "Explains storage considerations"}},
		{"Emphasize results for guests and the house.", []string{"Gives evidence of results for guests and the house"}},
		{"Quantify waste and the savings you made.", []string{"Puts a figure on waste", "Puts a figure on the savings they made"}},
		{"Describe the checklist you use, who signs it, and how you start over.", []string{"Describes the checklist they use", "Says who signs it", "Says how they start over"}},
		{"Describe a starter, which needs care.", []string{"Describes a starter, which needs care"}},
		{"Explain the quarrel, describe what you did to end it, and share the lesson.", []string{"Explains the quarrel", "Says what they did to end it", "Gives the lesson"}},
		{"Describe how you handled the heat and explain the outcome.", []string{"Says how they handled the heat", "Explains the outcome"}},
		{"Consider mentioning the queue, breads you would offer, and whom you would call.", []string{"Mentions the queue", "Mentions breads they would offer", "Says whom they would call"}},
		{"a definition in your own words\nwhen you would not use it", []string{"Mentions a definition in their own words", "Says when they would not use it"}},
		{"Use the STAR method. Name the oven.", []string{"Names the oven"}},
		{"Combine written recipes with pictures.", []string{"Describes written recipes", "Describes pictures"}},
		{"Discuss yeast vs sourdough.", []string{"Compares yeast with sourdough"}},
		{"Highlight your ability to stay calm.", []string{"Says how they stay calm"}},
		{"Show you can start small and widen the menu as guests ask for it.", []string{"Says how they start small", "Says how they widen the menu as guests ask for it"}},
		{"A good answer names two suppliers.", []string{"Names two suppliers"}},
		{"You should also mention hygiene.", []string{"Mentions hygiene"}},
		{"Say how you weigh figures and impressions.", []string{"Says how they weigh figures and impressions"}},
		{"Weigh taste and price, and name the trade-offs.", []string{"Weighs taste", "Weighs price", "Weighs the trade-offs"}},
		{"Keep it concise. Be honest.", []string{}},
	} {
		t.Run(test.guidance, func(t *testing.T) {
			t.Parallel()
			got := statements(t, "What would you bake?", test.guidance)
			require.GreaterOrEqual(t, len(got), len(test.want))
			require.Equal(t, test.want, got[:len(test.want):len(test.want)])
		})
	}
}

func TestAStoryIsNotAskedForTwice(t *testing.T) {
	t.Parallel()
	got := statements(t, "Tell me about a time you burnt a batch.", "Name the batch.")
	require.GreaterOrEqual(t, len(got), 5)
	require.NotContains(t, got, "Backs what is said with a case from their own work")
	got = statements(t, "Tell me about a time you burnt a batch.", "Use the STAR method: explain the situation, your task, the action you took and the result.")
	require.Equal(t, []string{
		"Tells of one real case: what it was about, and what was at stake", "Says what they did themselves, step by step", "Explains the result",
	}, got[:3])
	require.Len(t, got, 5)
	require.Contains(t, statements(t, "How do you bake?", "Name the batch."), "Backs what is said with a case from their own work")
}

func TestAQuestionIsTurnedIntoAClaim(t *testing.T) {
	t.Parallel()
	for question, want := range map[string]string{
		"What's your view on frozen dough?":    "Describes their view on frozen dough",
		"What is your experience with rye?":    "Describes their experience with rye",
		"What is the smallest useful starter?": "Names the smallest useful starter",
		"What is a starter?":                   "Says what a starter is",
		"What are enzymes?":                    "Says what enzymes are",
		"How do you bake?":                     "Says how they bake",
	} {
		require.Contains(t, statements(t, question, "Name the batch."), want)
	}
}

func TestTheReasonForAQuestionIsItsIntent(t *testing.T) {
	t.Parallel()
	for guidance, want := range map[string]string{
		"Employers ask this question to see if you can bake. Say how.":      "Whether you can bake.",
		"Interviewers ask this to gauge your patience. Say how.":            "Your patience.",
		"They ask this to understand how you plan. Say how.":                "How you plan.",
		"An interviewer may ask this to make sure you’re careful. Say how.": "Whether you’re careful.",
		"This question helps employers learn about your training. Say how.": "Your training.",
		"Hiring managers want to know whether you weigh flour. Say how.":    "Whether you weigh flour.",
		"Say how you bake.": "",
	} {
		t.Run(guidance, func(t *testing.T) {
			t.Parallel()
			d := compose(t, &importer.Page{Entries: []importer.Entry{{Question: "How?", Guidance: guidance}}}, importer.Options{})
			require.Equal(t, want, d.Set.Questions[0].Intent)
			require.Contains(t, strings.Join(statements(t, "What?", guidance), "\n"), "Says how")
		})
	}
}

func TestTheKindOfAQuestionIsGuessed(t *testing.T) {
	t.Parallel()
	for question, want := range map[string]rubric.Kind{
		"How do you proof a dough?":                                  rubric.Technical,
		"What's your view on frozen dough?":                          rubric.Technical,
		"Tell me about a time you burnt a batch.":                    rubric.Behavioural,
		"Describe a situation where the oven failed.":                rubric.Behavioural,
		"Have you trained apprentices?":                              rubric.Behavioural,
		"What steps have you taken to waste less?":                   rubric.Behavioural,
		"Why do you want to bake for us?":                            rubric.Motivational,
		"What excites you about bread?":                              rubric.Motivational,
		"How would you contribute to a healthy culture in a bakery?": rubric.Motivational,
	} {
		t.Run(question, func(t *testing.T) {
			t.Parallel()
			d := compose(t, &importer.Page{Entries: []importer.Entry{{Question: question, Guidance: "Say how."}}}, importer.Options{})
			require.Equal(t, want, d.Set.Questions[0].Kind)
		})
	}
}

func TestADraftOfAPage(t *testing.T) {
	t.Parallel()
	p, err := importer.Read("nurse.txt", page(t, "nurse.txt"), importer.Text)
	require.NoError(t, err)
	file := compose(t, p, importer.Options{Source: "nurse.txt"}).File()
	golden := filepath.Join("testdata", "nurse.golden.yaml")
	if *update {
		require.NoError(t, os.WriteFile(golden, file.YAML, 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err, "run go test ./internal/importer -update")
	require.Equal(t, string(want), string(file.YAML))

	set, err := rubric.Parse("nurse.yaml", file.YAML)
	require.NoError(t, err)
	for _, f := range rubric.Lint(set) {
		require.NotEqual(t, rubric.Error, f.Severity, f.String())
	}
	lines := strings.Split(string(file.YAML), "\n")
	for _, n := range file.Notes {
		require.Contains(t, lines[n.Line-1], importer.Mark)
	}
	for _, q := range set.Questions {
		require.Equal(t, "  - id: "+q.ID, lines[file.Lines[q.ID]-1])
	}
}

func TestWhatATableGivesIsKept(t *testing.T) {
	t.Parallel()
	p, err := importer.Read("t.csv", []byte("id,kind,intent,question,guidance\nbread,motivational,Whether bread matters.,How do you bake?,Employers ask this to gauge skill. Describe the dough.\n"), importer.CSV)
	require.NoError(t, err)
	q := compose(t, p, importer.Options{ID: "mine", Title: "Mine"}).Set.Questions[0]
	require.Equal(t, []string{"bread", "motivational", "Whether bread matters."}, []string{q.ID, string(q.Kind), q.Intent})
}

// proposer is a Proposer that is a function.
type proposer func(importer.Proposal) ([]rubric.Criterion, error)

func (f proposer) Propose(_ context.Context, p importer.Proposal) ([]rubric.Criterion, error) {
	return f(p)
}

func TestAProposalTakesTheRulesPlace(t *testing.T) {
	t.Parallel()
	entries := []importer.Entry{{Question: "How do you bake?", Guidance: "Describe the dough."}, {Question: "Why bread?", Guidance: "Name a reason."}}
	d := compose(t, &importer.Page{Entries: entries}, importer.Options{Proposer: proposer(func(p importer.Proposal) ([]rubric.Criterion, error) {
		if p.Question == "Why bread?" {
			return nil, importer.ErrNoProposal
		}
		return []rubric.Criterion{{ID: "a", Statement: "A", Weight: 1, Kind: rubric.Core}, {ID: "b", Statement: "B", Weight: 2, Kind: rubric.Core}, {ID: "c", Statement: "C", Weight: -40, Kind: rubric.Pitfall}}, nil
	})})
	require.Len(t, d.Fallback, 1)
	var weights []float64
	for _, c := range d.Set.Questions[0].Criteria {
		weights = append(weights, c.Weight)
	}
	require.Equal(t, []float64{50, 50, -5}, weights, "no weight is above half where there are two, and a pitfall is mild")
	require.Contains(t, string(d.File().YAML), "# draft: the model had no usable proposal")

	down := errors.New("down")
	_, err := importer.Compose(t.Context(), &importer.Page{Entries: entries}, importer.Options{Proposer: proposer(func(importer.Proposal) ([]rubric.Criterion, error) { return nil, down })})
	require.ErrorIs(t, err, down)
}

// Whatever stands on a page that can be read, the draft is a set that can be
// graded by, with its texts unchanged.
func TestEveryDraftIsAValidSet(t *testing.T) {
	t.Parallel()
	words := rapid.SampledFrom(strings.Fields(`how what you you'd describe explain show and, and or , such as (a, b) avoid mention the dough your oven — : # - ' " {x} & * ! yes null 0x1 quickly quantify don't über 日本 is; tell me about a time when. priorities; Employers ask this to see if`))
	text := rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(words, 1, 40).Draw(t, "words"), " ") })
	rapid.Check(t, func(t *rapid.T) {
		entries := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) importer.Entry {
			return importer.Entry{Question: text.Draw(t, "question"), Guidance: text.Draw(t, "guidance"), SampleAnswer: text.Draw(t, "first") + "\n" + text.Draw(t, "second")}
		}), 1, 3).Draw(t, "entries")
		title := text.Draw(t, "title")
		title = strings.ToValidUTF8(title[:min(len(title), 100)], "")
		file := compose(t, &importer.Page{Entries: entries, Title: title}, importer.Options{Source: text.Draw(t, "source")}).File()
		set, err := rubric.Parse("draft", file.YAML)
		require.NoError(t, err, string(file.YAML))
		for i, q := range set.Questions {
			require.Equal(t, entries[i].Question, q.Text)
			require.Equal(t, entries[i].Guidance, q.Guidance)
			require.Equal(t, entries[i].SampleAnswer, q.SampleAnswer)
			require.LessOrEqual(t, len(q.Criteria), 12)
		}
	})
}

// The claim: a page is refused with a fault, or its draft is a valid set.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"nurse.txt", "nurse.md", "nurse.html"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		require.NoError(f, err)
		f.Add(data, false)
	}
	f.Add([]byte("question;guidance\nHow?;\"Say; how.\"\n"), true)
	f.Fuzz(func(t *testing.T, data []byte, table bool) {
		format := importer.Text
		if table {
			format = importer.CSV
		}
		p, err := importer.Read("page", data, format)
		if err != nil {
			require.ErrorIs(t, err, importer.ErrPage)
			return
		}
		require.NotEmpty(t, p.Entries)
		file := compose(t, p, importer.Options{}).File()
		_, err = rubric.Parse("draft", file.YAML)
		require.NoError(t, err, string(file.YAML))
	})
}

// The page that the shipped set was written from lies beside the checkout on
// some machines.
func TestTheSeedPageComesOutWhole(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../../shared/seed/lead-platform-engineer.txt")
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the page is not beside the checkout")
	}
	require.NoError(t, err)
	p, err := importer.Read("seed", data, importer.Text)
	require.NoError(t, err)
	require.Len(t, p.Entries, 24)
	require.Empty(t, p.Skipped)
	for _, e := range p.Entries {
		require.NotEmpty(t, e.Guidance)
		require.NotEmpty(t, e.SampleAnswer)
		require.NotContains(t, e.SampleAnswer, "/ -")
	}
	set, err := rubric.Parse("seed.yaml", compose(t, p, importer.Options{}).File().YAML)
	require.NoError(t, err)
	for _, f := range rubric.Lint(set) {
		if f.Rule != "sample-short" { // one of its answers is: that is for a person
			require.NotEqual(t, rubric.Error, f.Severity, f.String())
		}
	}
}
