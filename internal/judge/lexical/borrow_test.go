package lexical

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/rubric"
	"github.com/gradus-ai/gradus/internal/text"
)

func bareQuestion(t testing.TB, asked string, statements ...string) *rubric.Question {
	q := rubric.Question{Text: asked}
	for i, s := range statements {
		q.Criteria = append(q.Criteria, rubric.Criterion{ID: string(rune('a' + i)), Statement: s, Weight: 1})
	}
	inline, err := rubric.Inline(q)
	require.NoError(t, err)
	return inline
}

// A question in words of its own about what the bank asks, too.
func releaseQuestion(t testing.TB) *rubric.Question {
	return bareQuestion(t, "How should our releases go out so that a bad one is quickly undone?",
		"Describes a deployment strategy", "Describes the rollback mechanism", "Includes security checks in the pipeline")
}

func TestBareCriteriaBorrowTheWordsOfTheBank(t *testing.T) {
	t.Parallel()
	q, j := releaseQuestion(t), New()
	score := func(answer string) float64 { return points(q, judged(t, j, q, answer)) }
	told := score(`A new version first gets a twentieth of the traffic as a canary and is widened only while error rates stay flat.
		When they do not, the previous image takes over again within a minute. Every build is scanned for vulnerable
		dependencies and leaked secrets, and it fails on a critical one.`)
	vague := score(`Deployment strategy matters to me, and so does a culture in which security is everybody's concern. I would
		describe the mechanism to all teams, include them early, and make sure that our pipeline reflects best practice.`)
	require.Greater(t, told, 60.0)
	require.Less(t, vague, 20.0)
	require.Less(t, score(`We had no canary and never scanned a build for leaked secrets. The previous image was never kept.`), 20.0)
}

func TestOnlyBareQuestionsAboutTheSameThingBorrow(t *testing.T) {
	t.Parallel()
	related := func(q *rubric.Question) *topic { return compile(q).related(text.Parse(q.Text)) }
	require.NotNil(t, related(releaseQuestion(t)))
	require.Nil(t, related(bareQuestion(t, "What happens to bread dough while it rests?",
		"Yeast turns sugar into gas", "The gluten relaxes", "The dough grows")), "about something else")
	require.Nil(t, related(bareQuestion(t, "How are releases undone?", "Describes the rollback mechanism")),
		"one criterion does not say what a question is about")
	q := releaseQuestion(t)
	q.Criteria[0].Phrases = []string{"blue and green take turns"}
	require.Nil(t, related(q), "the author has said what counts")
}
