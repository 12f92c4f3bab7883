package app

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// proofs names, for each item of OWASP's lists that applies (API Security 2023,
// ASVS 5.0, LLM 2026), the tests that prove it.
var proofs = map[string][]string{
	"API1:2023 ASVS 8.2.2 8.4.1 object level authorization": {"TestNothingOfOneTenantShowsToAnother", "TestAnAgentMayDoWhatItsKeyMay"},
	"API2:2023 ASVS 16.3.1 authentication": {"TestAKeyHas256BitsAPrefixAndAChecksum", "TestRedisHoldsOnlyTheDigestOfAKey", "TestKeysAreNotRepeated",
		"TestARevokedKeyStopsWorkingEverywhereWithinFiveSeconds", "TestAKeyIsValidUntilItExpiresOrIsRevoked"},
	"API3:2023 ASVS 15.3.1 15.3.3 properties":                  {"TestWhatACallerMayNotSetIsRefused", "TestASampleAnswerStaysWithTheRubric"},
	"API4:2023 LLM06:2026 ASVS 2.4.1 15.2.2 5.2.1 consumption": {"TestUploadsAreBounded", "TestEndlessBodyIsRefusedInFlatMemory", "TestATenantThatAsksForTooMuchKeepsNoOtherWaiting", "TestAKeyGetsItsRateAndNoMore"},
	"API4:2023 ASVS 5.2.3 compressed bodies":                   {"TestWhatACallerMayNotSetIsRefused", "TestGzipBombLeavesMemoryFlat"},
	"API5:2023 ASVS 8.2.1 function level authorization":        {"TestScopesOfRoutes", "TestAnAgentMayDoWhatItsKeyMay"},
	"API7:2023 ASVS 1.3.6 13.2.4 15.3.2 request forgery":       {"TestNoPrivateAddressIsEverCalled", "TestAddressesThatCanNeverBeUsedAreRefusedAtOnce"},
	"API8:2023 ASVS 13.4.2 4.1.1 16.5.1 configuration":         {"TestTheServiceKeepsToItsDocument", "TestPanicsAreLoggedOnceAndToldToNobody"},
	"API9:2023 inventory":                                      {"TestEveryRouteIsDocumentedAndEveryDocumentedRouteServed"},
	"API10:2023 unsafe consumption":                            {"TestGzipBombLeavesMemoryFlat", "TestAFailureIsNeverAScore"},
	"ASVS 1.2.10 formula injection":                            {"TestAnAnswerIsInertInSheets", "FuzzCells"},
	"ASVS 1.2.1 1.3.5 LLM10:2026 output handling":              {"TestHostileAnswersStayText", "TestPagesAllowNothingFromElsewhereAndNothingInline"},
	"ASVS 1.3.7 template injection":                            {"TestAnAnswerIsInertInLogsAndPrompts", "FuzzInert"},
	"ASVS 16.4.1 log injection":                                {"TestAnAnswerIsInertInLogsAndPrompts", "TestAccessLogHoldsNoTextOfCallers"},
	"ASVS 1.2 16.4.1 terminal injection":                       {"TestWhatStrangersWroteIsInertOnATerminal"},
	"ASVS 16.5.2 16.5.3 failing closed":                        {"TestAFailureIsNeverAScore"},
	"LLM01:2026 prompt injection":                              {"TestAttacks", "TestHonestLookalikesAreNotAccused"},
	"LLM02:2026 LLM08:2026 hidden context":                     {"TestASampleAnswerStaysWithTheRubric", "TestSampleAnswerIsShownOnlyWhenAskedFor"},
}

var testName = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)

// TestEveryItemOfOWASPHasItsProof holds the list of proofs to the tests there are.
func TestEveryItemOfOWASPHasItsProof(t *testing.T) {
	t.Parallel()
	there := map[string]bool{}
	root := os.DirFS("../..")
	for _, folder := range []string{"cmd", "internal"} {
		require.NoError(t, fs.WalkDir(root, folder, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			raw, err := fs.ReadFile(root, path)
			for _, found := range testName.FindAllSubmatch(raw, -1) {
				there[string(found[1])] = true
			}
			return err
		}))
	}
	for item, names := range proofs {
		require.NotEmpty(t, names, item)
		for _, name := range names {
			require.True(t, there[name], "%s: there is no test %s", item, name)
		}
	}
}

// TestTheREADMENamesMetricsThatExist holds what the README says an operator
// reads to what is counted.
func TestTheREADMENamesMetricsThatExist(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	golden, err := os.ReadFile("testdata/metrics.golden")
	require.NoError(t, err)
	named := regexp.MustCompile("`(gradus_\\w+)").FindAllSubmatch(readme, -1)
	require.NotEmpty(t, named)
	for _, name := range named {
		require.Contains(t, "\n"+string(golden), "\n"+string(name[1])+"{")
	}
}
