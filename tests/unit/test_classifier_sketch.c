/* Fingerprint, bands and likeness: copies of one campaign find each other though words, numbers, links and tails differ, and different
 * campaigns of one family do not. The copies are made here, the same in every run. */
#include "base/base.h"
#include "classifier/classifier.h"
#include "tests/unit/check.h"
#include "tests/unit/rnd.h"

#define COPIES 40

static struct fold_table *table;
static struct arena *arena;

/* Campaigns of our own; several of one family each. */
static const char *const campaigns[] = {
	"Vay tiền nhanh trong ngày, hạn mức 50 triệu, chỉ cần căn cước, lãi suất thấp, giải ngân "
	"sau 30 phút, liên hệ "
	"0912345678 gặp Lan để được tư vấn",
	"Bạn cần vốn làm ăn? Bên em hỗ trợ vay trả góp từ 5 đến 80 triệu, không thế chấp, nợ xấu "
	"vẫn duyệt, hồ sơ "
	"đơn giản, nhắn zalo 0387654321",
	"Tài khoản của quý khách đã bị tạm khóa do đăng nhập trên thiết bị lạ, vui lòng truy cập "
	"https://vidu-xacthuc.top để xác thực ngay hôm nay",
	"Ngân hàng thông báo ứng dụng của bạn đang được kích hoạt ở nơi khác, nếu không phải bạn "
	"thao tác hãy vào "
	"vidu-huy.vip để hủy trước khi bị trừ tiền",
	"Công an phường mời anh lên làm việc về vụ rửa tiền, kết bạn zalo cán bộ điều tra số "
	"0911222333 để được "
	"hướng dẫn, không nói với ai",
	"Bạn có khoản phạt vi phạm giao thông chưa thanh toán, nộp phạt trước ngày 20/10 tại "
	"dichvu-vidu.cc để tránh "
	"bị cưỡng chế",
	"Bưu kiện của bạn giao không thành công vì sai địa chỉ, cập nhật thông tin và trả phí "
	"15.000đ tại "
	"buukien-vidu.icu trong 24 giờ",
	"Chúc mừng số thuê bao của bạn trúng thưởng một xe máy và sổ tiết kiệm 100 triệu, gọi ngay "
	"0909111222 để làm "
	"thủ tục nhận giải",
	"Sàn mua sắm cần tuyển 20 cộng tác viên làm tại nhà, mỗi ngày chỉ cần một giờ, lương 300k "
	"đến 700k, nhắn "
	"telegram @vidu_hr để nhận việc",
	"Tuyển người xem video và thả tim, hoa hồng trả ngay sau mỗi nhiệm vụ, không mất phí, kết "
	"bạn zalo "
	"0933444555 nhận quà người mới",
	"Game bài đổi thưởng uy tín, nạp lần đầu tặng 100%, hoàn trả mỗi ngày, rút tiền trong 1 "
	"phút, tải tại "
	"vidu68.win",
	"Nhà cái hàng đầu khuyến mãi cuối tuần, cá cược bóng đá tỷ lệ cao, tặng 88k cho tài khoản "
	"mới, vào "
	"vidu88.bet nhận code",
	"Hồ sơ vay của anh quá hạn 45 ngày, công ty sẽ gửi thông báo về cơ quan và người thân, yêu "
	"cầu thanh toán "
	"trước 17 giờ hôm nay",
	"Nhóm đầu tư chứng khoán miễn phí, chuyên gia khuyến nghị mã mỗi sáng, cam kết lợi nhuận "
	"30% một tháng, "
	"tham gia ngay nhóm zalo",
	"Mẹ ơi con làm rơi điện thoại, đây là số mới của con, mẹ chuyển giúp con 5 triệu vào tài "
	"khoản 123456789 "
	"của bạn con nhé",
	"Nhận làm bằng đại học, bằng lái xe, chứng chỉ các loại, có hồ sơ gốc, giao tận nơi kiểm "
	"tra rồi thanh toán, "
	"gọi 0977888999",
	"[QC] Giảm giá 20% toàn bộ giày dép tại cửa hàng đến hết chủ nhật, tặng thêm voucher cho "
	"hóa đơn từ 500.000đ, "
	"từ chối soạn TC gửi 1313",
	"[TB] Quý khách đã dùng hết dung lượng tốc độ cao của gói, để mua thêm soạn MUA gửi 191 "
	"hoặc vào ứng dụng, "
	"chi tiết gọi 198",
	"Your parcel could not be delivered because the address is incomplete, please update your "
	"details and pay "
	"the small fee at vidu-post.top",
	"We noticed an unusual sign in to your account, verify your identity within 24 hours at "
	"vidu-secure.com or "
	"access will be suspended",
};

static const char *const others[] = {"nhanh", "chóng", "ngay", "nhé", "bạn", "anh", "chị", "quý",
	"khách", "mới", "hôm", "nay", "được", "cho", "các", "và", "hoặc", "tại", "đây", "thêm",
	"please", "now", "with", "your", "today"};

static struct sketch sketch_of(struct slice raw)
{
	struct folded f;
	struct sketch s;

	arena_reset(arena);
	CHECK_INT(fold(table, raw, arena, &f), RC_OK);
	sketch_make(f.text, &s);
	return s;
}

static bool has_digit_or_dot(struct slice word)
{
	for (size_t i = 0; i + 1 < word.len; i++)
		if ((word.ptr[i] >= '0' && word.ptr[i] <= '9') || word.ptr[i] == '.')
			return true;
	return false;
}

static void add_noise(struct buf *out, uint64_t *seed)
{
	for (uint64_t n = 3 + rnd(seed, 6); n > 0; n--)
		buf_byte(out, (char)("abcdefghijklmnopqrstuvwxyz0123456789"[rnd(seed, 36)]));
}

/* A copy: every number and link is another one, about `percent` of the words are changed, left out or followed by another one, and
 * something meaningless stands at the end. */
static void copy_of(struct slice text, unsigned percent, uint64_t *seed, struct buf *out)
{
	struct slice word;

	buf_clear(out);
	while (slice_cut(&text, ' ', &word)) {
		const char *other = others[rnd(seed, ARRAY_LEN(others))];

		if (out->len > 0)
			buf_byte(out, ' ');
		if (has_digit_or_dot(word)) {
			for (size_t i = 0; i < word.len; i++) {
				char c = word.ptr[i];

				if (c >= '0' && c <= '9')
					c = (char)('0' + rnd(seed, 10));
				else if (c >= 'a' && c <= 'z')
					c = (char)('a' + rnd(seed, 26));
				buf_byte(out, c);
			}
			continue;
		}
		if (rnd(seed, 100) >= percent) {
			buf_add(out, word);
			continue;
		}
		switch (rnd(seed, 3)) {
		case 0:
			buf_add(out, slice_str(other));
			break;
		case 1:
			buf_add(out, word);
			buf_byte(out, ' ');
			buf_add(out, slice_str(other));
			break;
		default: /* left out */
			break;
		}
	}
	buf_byte(out, ' ');
	add_noise(out, seed);
}

static bool share_a_band(const struct sketch *a, const struct sketch *b)
{
	for (size_t i = 0; i < a->bands && i < b->bands; i++)
		if (a->band[i] == b->band[i])
			return true;
	return false;
}

static bool linked(const struct sketch *a, const struct sketch *b)
{
	return share_a_band(a, b) && sketch_alike(a, b) >= SKETCH_ALIKE;
}

/* How many of a hundred copies find their original. */
static double recall(unsigned percent)
{
	BUF_OWN struct buf copy;
	uint64_t seed = 11 + percent;
	size_t found = 0, all = 0;

	buf_init(&copy, 8192);
	for (size_t i = 0; i < ARRAY_LEN(campaigns); i++) {
		struct sketch original = sketch_of(slice_str(campaigns[i]));

		for (size_t k = 0; k < COPIES; k++) {
			copy_of(slice_str(campaigns[i]), percent, &seed, &copy);
			struct sketch s = sketch_of(buf_slice(&copy));
			found += linked(&original, &s);
			all++;
		}
	}
	printf("copies with %2u %% of the words changed: %.1f %% linked\n", percent,
		100.0 * (double)found / (double)all);
	return (double)found / (double)all;
}

static void test_copies_are_linked(void)
{
	CHECK(recall(0) == 1);
	CHECK(recall(10) > 0.97);
	CHECK(recall(20) > 0.85);
	CHECK(recall(30) > 0.5);
}

/* A campaign is a chain of copies: with ten of them hardly one stands alone. */
static void test_copies_find_each_other(void)
{
	BUF_OWN struct buf copy;
	uint64_t seed = 5;
	size_t alone = 0;

	buf_init(&copy, 8192);
	for (size_t i = 0; i < ARRAY_LEN(campaigns); i++) {
		struct sketch s[10];

		for (size_t k = 0; k < 10; k++) {
			copy_of(slice_str(campaigns[i]), 15, &seed, &copy);
			s[k] = sketch_of(buf_slice(&copy));
		}
		for (size_t k = 0; k < 10; k++) {
			bool any = false;

			for (size_t j = 0; j < 10; j++)
				any = any || (j != k && linked(&s[j], &s[k]));
			alone += !any;
		}
	}
	printf("of %zu copies with 15 %% changed %zu stand alone\n", ARRAY_LEN(campaigns) * 10,
		alone);
	CHECK(alone <= 6);
}

static void test_campaigns_stay_apart(void)
{
	BUF_OWN struct buf copy;
	uint64_t seed = 3;
	size_t wrong = 0, bands = 0, pairs = 0;
	static struct sketch s[ARRAY_LEN(campaigns)][COPIES];

	buf_init(&copy, 8192);
	for (size_t i = 0; i < ARRAY_LEN(campaigns); i++)
		for (size_t k = 0; k < COPIES; k++) {
			copy_of(slice_str(campaigns[i]), 20, &seed, &copy);
			s[i][k] = sketch_of(buf_slice(&copy));
		}
	for (size_t i = 0; i < ARRAY_LEN(campaigns); i++)
		for (size_t j = i + 1; j < ARRAY_LEN(campaigns); j++)
			for (size_t k = 0; k < COPIES; k++) {
				const struct sketch *a = &s[i][k], *b = &s[j][(k * 7) % COPIES];

				wrong += linked(a, b);
				bands += share_a_band(a, b);
				pairs++;
			}
	printf("of %zu pairs of different campaigns %zu share a band, %zu are linked\n", pairs,
		bands, wrong);
	CHECK_INT(wrong, 0);
	CHECK(bands * 50 < pairs);
}

static void test_what_is_left_out(void)
{
	static const struct {
		const char *a, *b;
	} same[] = {
		{"Vay tiền 50 triệu gọi 0912345678 ngay hôm nay nhé bạn ơi",
			"VAY TIEN, 70 triệu! gọi 0387 654 321 ngay... hôm nay nhé (bạn ơi)"},
		{"vào https://a.b/c nhận quà ngay hôm nay cho quý khách",
			"vào abc-x.top nhận quà ngay hôm nay cho quý khách"},
		{"v a y tiền nhanh gọn lẹ trong ngày", "vay tien nhanh gon le trong ngay"},
	};

	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		struct sketch a = sketch_of(slice_str(same[i].a)),
			      b = sketch_of(slice_str(same[i].b));

		CHECK_CASE("%s", same[i].a);
		CHECK_U64(a.fingerprint, b.fingerprint);
		CHECK(a.bands > 0 && memcmp(a.band, b.band, sizeof(a.band)) == 0);
		CHECK_NEAR(sketch_alike(&a, &b), 1, 0);
	}
}

static void test_short_and_long(void)
{
	static char text[BOUND_CONTENT];
	struct sketch none = sketch_of(SLICE("")), digits = sketch_of(SLICE("123 456 0912345678")),
		      few = sketch_of(SLICE("alo em oi")), again = few;

	CHECK_U64(none.fingerprint, 0);
	CHECK_U64(digits.fingerprint, 0);
	CHECK(few.fingerprint != 0);
	CHECK_INT(few.bands, 0);
	CHECK_NEAR(sketch_alike(&few, &again), 0, 0);
	/* writing without blanks is taken apart */
	struct sketch cn = sketch_of(SLICE("恭喜您获得大奖请点击链接领取"));
	CHECK_INT(cn.bands, SKETCH_BANDS);
	/* counters of one byte are emptied before they run over; repeats are kept once */
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 3 == 2 ? ' ' : 'x';
	struct sketch same = sketch_of(slice_of(text, sizeof(text)));
	CHECK_U64(same.fingerprint, sketch_of(SLICE("xx xx xx")).fingerprint);
	CHECK_INT(same.bands, 0);
	uint64_t seed = 9;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = rnd(&seed, 6) == 0 ? ' ' : (char)('a' + rnd(&seed, 26));
	same = sketch_of(slice_of(text, sizeof(text)));
	CHECK_INT(same.kept, SKETCH_KEPT);
	for (size_t i = 1; i < same.kept; i++)
		CHECK(same.low[i - 1] < same.low[i]);
}

int main(void)
{
	struct err e;

	if (fold_table_load(SOURCE_DIR "/etc/fold/homoglyphs.tsv", &table, &e) != RC_OK) {
		printf("%s\n", e.text);
		return 1;
	}
	arena = arena_new(8 << 20);
	RUN(test_copies_are_linked);
	RUN(test_copies_find_each_other);
	RUN(test_campaigns_stay_apart);
	RUN(test_what_is_left_out);
	RUN(test_short_and_long);
	arena_free(arena);
	fold_table_free(table);
	return check_done();
}
