"""Critiques that tell the gold answer and critiques that do not, made by hand, for measuring the detector.

Each case: (critique, gold, prompt, student's answer, whether the answer is told). They are of the kinds that
teachers write: boxed and announced answers, corrected results in passing, quotations, hints, praise of right
answers, numbers that mean something else.
"""

from __future__ import annotations

Case = tuple[str, str, str, str, bool]

APPLES = "Tom has 14 apples and buys 3 bags of 9. How many apples does he have?"
APPLES_WRONG = "3 * 9 = 28, and 14 + 28 = 42. The answer is \\boxed{42}."
APPLES_RIGHT = "3 * 9 = 27, and 14 + 27 = 41. The answer is \\boxed{41}."
TRAIN = "A train covers 360 km in 4.5 hours. What is its speed in km/h?"
TRAIN_WRONG = "I multiply: 360 * 4.5 = 1620. The speed is 1620 km/h."
QUADRATIC = "Find the sum of all roots of $x^2 - 5x + 6 = 0$."
QUADRATIC_WRONG = "The roots are 1 and 6, so the sum is $7$."
TRIANGLE = "A right triangle has legs 2 and $2\\sqrt{2}$. Find its hypotenuse."
TRIANGLE_WRONG = "$c^2 = 4 + 4 = 8$, so $c = 2\\sqrt{2}$."
DICE = "Two dice are thrown. What is the probability that their sum is 7 or 11?"
DICE_WRONG = "There are 6 + 1 = 7 outcomes of 36, so it is $\\frac{7}{36}$."
DERIVATIVE = "Differentiate $f(x) = x^3 + 2x$."
DERIVATIVE_WRONG = "$f'(x) = 3x^2 + 2x$."
CAPITAL = "Which city is the capital of Australia?"
CHOICE = "Which gas do plants take up?\n(A) oxygen\n(B) nitrogen\n(C) carbon dioxide\n(D) helium"
PRIMES = "How many primes divide 6?"
OFF = "How much is taken off?"
PARITY = "Is 91 prime or composite?"
INTERVAL = "Solve $|x - 2| < 3$."
MONEY = "A coat costs $80 and is sold at 15 % off. What does it cost now?"
MONEY_WRONG = "15 % of 80 is 8, so it costs $72."
AREA = "A rectangle has area 96 and width 8. What is its perimeter?"
AREA_WRONG = "Length is 96/8 = 11, so the perimeter is 2(11+8) = 38."
INTEGRAL = "Evaluate $\\int_0^1 3x^2\\,dx + \\int_0^1 4\\,dx$."
INTEGRAL_WRONG = "The integrals are 3 and 4, total 7."
SEATS = "How many ways can 5 people sit in a row?"
SEATS_WRONG = "5 * 5 = 25 ways."
QUOTIENT = "Simplify $\\frac{x^2-9}{x-3}$."
QUOTIENT_WRONG = "It is $x - 3$."
PERCENT = "What percent of 250 is 75?"
PERCENT_WRONG = "250/75 = 3.33, so 333 %."
LINEAR = "Solve $2x + 7 = 31$ for $x$."
LINEAR_WRONG = "$2x = 38$, $x = 19$."
FAUST = "Who wrote 'Faust'?"
VECTOR = "Give the vector $(1,2)+(3,5)$."
VECTOR_WRONG = "It is $(4,6)$."
LIMIT = "What is the limit of $\\sin(x)/x$ as $x \\to 0$?"
LIMIT_WRONG = "It is 0, because sin 0 = 0."
PAGES = "Mia reads 24 pages a day for 2 weeks. How many pages?"
PAGES_WRONG = "24 * 2 = 48 pages."

CASES: list[Case] = [
    # it tells
    ("The product is wrong. The correct answer is 41.", "41", APPLES, APPLES_WRONG, True),
    ("3 * 9 is 27, so you get 14 + 27 = 41.", "41", APPLES, APPLES_WRONG, True),
    ("Your sum is off; it should be \\boxed{41}.", "41", APPLES, APPLES_WRONG, True),
    ("He should end up with 41 apples, not 42.", "41", APPLES, APPLES_WRONG, True),
    ("The final answer should have been **41**. Conclusion: wrong", "41", APPLES, APPLES_WRONG, True),
    ("Check 3 * 9. The right total is $41$, yours is 42.", "41", APPLES, APPLES_WRONG, True),
    ("#### 41", "41", APPLES, APPLES_WRONG, True),
    ("The answer should be 41, but the student's answer is 42.", "41", APPLES, APPLES_WRONG, True),
    ("Divide, do not multiply: 360 / 4.5 = 80.", "80", TRAIN, TRAIN_WRONG, True),
    ("The speed of the train is 80 km/h, since speed is distance by time.", "80", TRAIN, TRAIN_WRONG, True),
    ("By dividing one gets $\\frac{360}{4.5} = 80$ km/h.", "80 km/h", TRAIN, TRAIN_WRONG, True),
    ("The roots are 2 and 3, so their sum equals 5.", "5", QUADRATIC, QUADRATIC_WRONG, True),
    ("Vieta's formulas give the sum directly. The correct answer is 5.", "5", QUADRATIC, QUADRATIC_WRONG, True),
    ("$4 + 8 = 12$, so the hypotenuse is $2\\sqrt{3}$.", "2\\sqrt{3}", TRIANGLE, TRIANGLE_WRONG, True),
    ("You forgot a square: $c = \\sqrt{12}$.", "2\\sqrt{3}", TRIANGLE, TRIANGLE_WRONG, True),
    ("The answer should be $2 \\sqrt 3$.", "2\\sqrt{3}", TRIANGLE, TRIANGLE_WRONG, True),
    ("There are 6 + 2 = 8 outcomes, hence 8/36 = 2/9.", "\\frac{2}{9}", DICE, DICE_WRONG, True),
    ("11 can be thrown in two ways, so the probability is $\\frac{2}{9}$.", "2/9", DICE, DICE_WRONG, True),
    ("The second term is wrong: $f'(x) = 3x^2 + 2$.", "3x^2+2", DERIVATIVE, DERIVATIVE_WRONG, True),
    ("The derivative should be $2 + 3x^2$, since $(2x)' = 2$.", "3x^2 + 2", DERIVATIVE, DERIVATIVE_WRONG, True),
    ("Sydney is the largest city, but the capital is Canberra.", "Canberra", CAPITAL, "It is Sydney.", True),
    ("Plants breathe out oxygen. The correct answer is (C).", "C", CHOICE, "The answer is (A).", True),
    ("Option C is correct, because photosynthesis uses it.", "C", CHOICE, "The answer is (A).", True),
    ("91 = 7 * 13, so the answer is composite.", "composite", PARITY, "91 is prime.", True),
    ("The bound is taken once only. The solution is $(-1, 5)$.", "(-1, 5)", INTERVAL, "$x < 5$", True),
    ("15 % of 80 is 12, so the coat costs $68 now.", "68", MONEY, MONEY_WRONG, True),
    ("You should subtract 12, which leaves 68.", "\\$68", MONEY, MONEY_WRONG, True),
    ("15 percent is 0.15; 0.85 * 80 = 68.00.", "68", MONEY, MONEY_WRONG, True),
    ("The result of 2023 - 1000 is 1023.", "1023", "What is 2023 - 1000?", "It is 1123.", True),
    ("It grows to 1,250 and not to 1,350.", "1250", "500 grows by 750. To what?", "1350", True),
    ("The correct value is 14.", "14", APPLES, APPLES_WRONG, True),  # 14 stands in the prompt
    ("You stopped too early; the answer is 27, as you wrote above.", "27", APPLES, "3*9 = 27. \\boxed{28}", True),
    # it does not
    ("The product 3 * 9 is wrong. Count the nines again.", "41", APPLES, APPLES_WRONG, False),
    ("Check the second step: 3 * 9 is less than 28.", "41", APPLES, APPLES_WRONG, False),
    ("You wrote 42; that is one too many. Look at 3 * 9 = 27.", "41", APPLES, APPLES_WRONG, False),
    ("Everything is right: 14 + 27 = 41, and the answer is 41.", "41", APPLES, APPLES_RIGHT, False),
    ("The student's answer of 41 is correct. Conclusion: right", "41", APPLES, APPLES_RIGHT, False),
    ("The answer is not 41 by this argument; show the bags.", "41", APPLES, "14 + 3 * 9", False),
    ("The answer cannot be 42, since 3 * 9 is odd.", "41", APPLES, APPLES_WRONG, False),
    ("There are 5 mistakes in this solution.", "5", QUADRATIC, QUADRATIC_WRONG, False),
    ("1. The factors are wrong.\n2. The sum is not checked.\n3. No check.", "2", PRIMES, "3", False),
    ("Step 2 is wrong; see step 2 of the example.", "2", PRIMES, "3", False),
    ("Square both sides, so that $x^2$ appears, and use the 2nd formula.", "2", "Find $x$.", "$x = 3$", False),
    ("Try to multiply by 2 and divide by 2 again.", "2", "Find $x$.", "$x = 3$", False),
    ("The coefficient of $x$ is what Vieta's formulas ask for.", "5", QUADRATIC, QUADRATIC_WRONG, False),
    ("The prompt says 360 km in 4.5 hours; speed is distance by time.", "80", TRAIN, TRAIN_WRONG, False),
    ("1620 km/h is faster than sound. Which operation gives a speed?", "80", TRAIN, TRAIN_WRONG, False),
    ("You divide 360 by something; by what?", "80", TRAIN, TRAIN_WRONG, False),
    ("$c^2 = a^2 + b^2$; you took $(2\\sqrt{2})^2 = 4$. Try again.", "2\\sqrt{3}", TRIANGLE, TRIANGLE_WRONG, False),
    ("A root such as $\\sqrt{8}$ can be simplified; correct the sum.", "2\\sqrt{3}", TRIANGLE, TRIANGLE_WRONG, False),
    ("7 can be thrown in 6 ways out of 36. In how many ways 11?", "\\frac{2}{9}", DICE, DICE_WRONG, False),
    ("$\\frac{7}{36}$ misses an outcome.", "\\frac{2}{9}", DICE, DICE_WRONG, False),
    ("What is the derivative of $2x$? A constant.", "3x^2+2", DERIVATIVE, DERIVATIVE_WRONG, False),
    ("The first term $3x^2$ is right. The second is not.", "3x^2+2", DERIVATIVE, DERIVATIVE_WRONG, False),
    ("Sydney is the largest city, but not the capital.", "Canberra", CAPITAL, "It is Sydney.", False),
    ("Plants breathe out (A); look for what they take up.", "C", CHOICE, "The answer is (A).", False),
    ("(A) is wrong. Compare it with the other options.", "C", CHOICE, "The answer is (A).", False),
    ("Did you test 7? Whether it is prime or composite depends on that.", "composite", PARITY, "91 is prime.", False),
    ("An absolute value has two bounds; you use one.", "(-1, 5)", INTERVAL, "$x < 5$", False),
    ("15 % of 80 is more than 8. Ten percent is 8, add half of that.", "68", MONEY, MONEY_WRONG, False),
    ("The paper of 2023 does it in another way.", "1023", "What is 2023 - 1000?", "It is 1123.", False),
    ("You began with 14 and the bags hold 3 each.", "14", APPLES, APPLES_WRONG, False),
    ("Your 27 is right. Go on from there.", "27", APPLES, "3 * 9 = 27. \\boxed{28}", False),
    ("", "41", APPLES, APPLES_WRONG, False),
    ("No gold can be read here, so nothing is told: 41.", "a\nb", APPLES, APPLES_WRONG, False),
    # both, over other problems
    ("96 divided by 8 is 12. Hence the perimeter equals 2(12 + 8) = 40.", "40", AREA, AREA_WRONG, True),
    ("96 / 8 is not 11. Multiply 11 by 8 to see it.", "40", AREA, AREA_WRONG, False),
    ("The length is 12, redo the last line with it.", "40", AREA, AREA_WRONG, False),
    ("Only 96/8 needs care: it is 12, giving a perimeter of 40 units.", "40", AREA, AREA_WRONG, True),
    ("The first integral is $[x^3]_0^1 = 1$, thus the total is $5$.", "5", INTEGRAL, INTEGRAL_WRONG, True),
    ("You did not integrate: the antiderivative of $3x^2$ is $x^3$.", "5", INTEGRAL, INTEGRAL_WRONG, False),
    ("Your answer of 7 exceeds the true value, which is 5.", "5", INTEGRAL, INTEGRAL_WRONG, True),
    ("After the first person sits, only 4 seats are left, then 3, and so on.", "120", SEATS, SEATS_WRONG, False),
    ("One needs a factorial: $5! = 120$.", "120", SEATS, SEATS_WRONG, True),
    ("You need $5 \\times 4 \\times 3 \\times 2 \\times 1$.", "120", SEATS, SEATS_WRONG, False),
    ("Factor the numerator as $(x-3)(x+3)$ and cancel.", "x+3", QUOTIENT, QUOTIENT_WRONG, False),
    ("After cancelling, $x+3$ remains.", "x+3", QUOTIENT, QUOTIENT_WRONG, True),
    ("The student cancelled the wrong factor.", "x+3", QUOTIENT, QUOTIENT_WRONG, False),
    ("The quotient is upside down: 75/250 = 0.3, i.e. 30%.", "30", PERCENT, PERCENT_WRONG, True),
    ("A percentage above 100 cannot be right, as 75 is less than 250.", "30", PERCENT, PERCENT_WRONG, False),
    ("Subtract 7, do not add it: $2x = 24$.", "12", LINEAR, LINEAR_WRONG, False),
    ("Subtract 7: $2x = 24$ so $x = 12$.", "12", LINEAR, LINEAR_WRONG, True),
    ("Check with x = 19: 2*19 + 7 = 45, not 31.", "12", LINEAR, LINEAR_WRONG, False),
    ("The 12th line of the table shows a like equation.", "12", LINEAR, LINEAR_WRONG, False),
    ("It was written by Goethe, not by Schiller.", "Goethe", FAUST, "Schiller wrote it.", True),
    ("Schiller was a friend of the author.", "Goethe", FAUST, "Schiller wrote it.", False),
    ("The second component is $2 + 5$; recompute.", "(4,7)", VECTOR, VECTOR_WRONG, False),
    ("The sum is $(4, 7)$.", "(4,7)", VECTOR, VECTOR_WRONG, True),
    ("Both numerator and denominator vanish. Apply L'Hopital's rule.", "1", LIMIT, LIMIT_WRONG, False),
    ("By L'Hopital the limit is $\\cos(0) = 1$.", "1", LIMIT, LIMIT_WRONG, True),
    ("There is 1 gap in the argument: 0/0 is undefined.", "1", LIMIT, LIMIT_WRONG, False),
    ("The value 1 is approached from both sides.", "1", LIMIT, LIMIT_WRONG, True),
    ("Two weeks are 14 days, so compute 24 * 14.", "336", PAGES, PAGES_WRONG, False),
    ("Two weeks have 14 days: 24 * 14 = 336 pages in all.", "336", PAGES, PAGES_WRONG, True),
    ("You took days for weeks. One week alone makes 168 pages.", "336", PAGES, PAGES_WRONG, False),
    ("The correct number of pages is 336.", "336", PAGES, "336/7 = 48 pages", True),
    ("Conclusion: wrong. Final answer: 336", "336", PAGES, PAGES_WRONG, True),
    ("#### 5", "5", QUADRATIC, QUADRATIC_WRONG, True),
    ("It means $-3 < x - 2 < 3$; add 2.", "(-1, 5)", INTERVAL, "$x < 5$", False),
    ("Why did you give up $2\\sqrt{3}$?", "2\\sqrt{3}", TRIANGLE, "$c = 2\\sqrt{3}$? No, $\\boxed{4}$", False),
    # hard: told, but in words, or to be worked out; numbers that mean something else
    ("There are forty-one apples in the end.", "41", APPLES, APPLES_WRONG, True),
    ("Your result is one too large.", "41", APPLES, APPLES_WRONG, False),
    ("See theorem 41 of the book.", "41", APPLES, APPLES_WRONG, False),
    ("In 41 out of 100 solutions this slip occurs.", "41", APPLES, APPLES_WRONG, False),
    ("Line 41 gives the reason.", "41", APPLES, APPLES_WRONG, False),
    ("A similar problem with 5 bags gives 59; do yours alike.", "41", APPLES, APPLES_WRONG, False),
    ("The number 80 in the exercise is a price, so 12 is what is taken off.", "12", OFF, "15", True),
]  # fmt: skip
