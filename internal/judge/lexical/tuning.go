package lexical

// The constants of the method, in one place because they were set together, on
// human-scored answers to some 120 questions and on the probes of a question
// set, by hand and on a coarse grid; each lies on a plateau. A change of any
// needs a new algorithmVersion.
//
// What did not pay, on folds of questions that had not been seen: a logistic
// regression on forty features of a match in place of the blend (macro F1 .73
// on school science and on electricity, .74 and .77 by the blend), word
// vectors, relations of WordNet beyond synonyms and derived words (no gain of
// more than .003 in the area under the curve), less weight for what a reference
// has in brackets, and a criterion for each sentence of a reference. Nor did, for
// questions with a dozen phrases a criterion, seventeen more of them.

// How words weigh.
const (
	// generalDocs is how many documents the table of English counts for.
	generalDocs = 300
	// numberWeight is the rarity of a number.
	numberWeight = 2.5
	// flatten is the power of rarity that makes a weight. Short texts repeat
	// nothing, so that rarity says less than in long ones.
	flatten = 0.35
	// givenShare is what is left of the weight of a word of the question: to say
	// what was asked proves little.
	givenShare = 0.25
	// functionWeight is the weight of a function word of a criterion that has few
	// phrasings: "before", "than" and "if" say something there.
	functionWeight = 0.2
	// rubricShare is what is left of the weight of a word with which rubrics
	// speak about answers, in a statement.
	rubricShare = 0.2
	// capMedians bounds a term's weight, in medians of its criterion, so that
	// one rare word cannot decide; entryShare bounds the weight of an entry of
	// several words, in that of its rarest.
	capMedians = 3
	entryShare = 1.25
)

// How alike words are, 0..1.
const (
	sameWord = 0.95 // irregular forms of one word
	oneTypo  = 0.9  // one edit apart
	synonym  = 0.8  // the same in a usual sense
	// samePrefix is the most for words that share their beginning.
	samePrefix = 0.85
	// opposed is how well an opposite says the contrary.
	opposed = 0.6
	// kinOfCommon and kinOfRare are members of one concept class: what a common
	// word means depends on its company, a rare one means one thing. rareFrom
	// and commonFrom are the Zipf values in between.
	kinOfCommon, kinOfRare = 0.4, 0.9
	rareFrom, commonFrom   = 2.5, 4.5
)

// How a window matches a phrasing.
const (
	longestWindow = 3 // sentences
	// recallShare, fShare and cosineShare blend a window's score.
	recallShare, fShare, cosineShare = 0.5, 0.3, 0.2
	// windowShare is the share of the window; the rest is the whole answer.
	windowShare = 0.6
	// nextShare is the share of the second best phrasing, where there are
	// manyPhrasings or more.
	nextShare     = 0.5
	manyPhrasings = 4
	// aside is the weight up to which a sentence that shares words with a phrasing
	// is beside the point: an ordinary word weighs less, two of them more.
	aside = 1.9
	// apart is the weight below which a sentence has nothing to do with any
	// phrasing: a function word or one of the question.
	apart = 0.5
	// deniedCost is what it costs to say the opposite of a part of a phrasing.
	deniedCost = 0.4
	// deniedShare is the share of a phrasing from which to say the opposite
	// contradicts the criterion.
	deniedShare = 0.4
)

// What makes an answer one that says what was not done and little else.
const (
	// fewestDenials and denyingShare are how many of its sentences deny something
	// and what share of all. Of 1,700 answers that people wrote in earnest none
	// has both.
	fewestDenials = 5
	denyingShare  = 0.65
	// leastSentence is the words from which a sentence says something.
	leastSentence = 3
)

// What bare criteria borrow from the bank.
const (
	// fewestBare is the number of criteria from which they say what a question
	// is about.
	fewestBare = 3
	// relatedFrom is from where a topic of the bank is the question's: the share
	// of words that it knows times the mean match of criteria. Of 24 questions
	// with criteria in other words than the bank's, 19 found their topic and one
	// a wrong one; questions about anything else seldom reach it.
	relatedFrom = 0.05
	// borrowedFrom is the match from which a criterion of the topic lends its
	// phrases, if it is the best one for this criterion, or nearly
	// (borrowedShare), or fits no other better.
	borrowedFrom, borrowedShare = 0.2, 0.85
)

// Where credit begins and ends.
const (
	// zeroSigma and fullSigma are credit 0 and 1 in standard deviations above
	// what is matched by chance, for a question with a sample answer. They and
	// the lift were chosen on answers to the shipped questions, forty and those
	// in testdata, among those with which all probes pass.
	zeroSigma, fullSigma = 1, 4
	// liftShare of the mean over all criteria, above liftFrom, is added to each,
	// from -mostFall to mostLift: an answer to the point is believed sooner.
	liftShare, liftFrom, mostLift, mostFall = 2, 1.6, 1, 0.6
	// priorZero and priorFull are the matches of credit 0 and 1 for a question
	// without a sample answer; chanceShare of what is matched by chance, and
	// givenMatch of what the question itself matches, are a lower bound.
	priorZero, priorFull    = 0.15, 0.54
	chanceShare, givenMatch = 0.4, 0.2
	// perPhrasing is added for more phrasings, by their logarithm.
	perPhrasing = 0.06
	// easeRate lowers what is asked of a match with a phrasing of more than
	// easeFrom terms, by their logarithm, to no less than easeLeast.
	easeRate, easeFrom, easeLeast = 0.25, 8, 0.4
	// pitfallMargin and pitfallSpan place a pitfall above chance and the sample.
	pitfallMargin, pitfallSpan = 0.05, 0.2
	// leastSpread bounds the standard deviation of chance from below.
	leastSpread = 0.06
	// briefWords is the length up to which an answer is brief.
	briefWords = 25
	// leastCredit is the credit below which a criterion is missed.
	leastCredit = 0.1
)
