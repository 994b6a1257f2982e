/* The shipped packs on messages of our own: each family is seen with and without diacritics and in disguise, and what honest senders
 * write is left alone. None of these messages is an example of a rule. */
#include "base/base.h"
#include "classifier/classifier.h"
#include "tests/unit/check.h"

static struct pack *pack;
static struct scan *scan;

struct expected {
	enum label label;
	const char *text;
};

static const struct expected bad[] = {
	/* banks */
	{LABEL_SCAM,
		"VCB: Tài khoản của quý khách sẽ bị phong tỏa trong 24h. Đăng nhập "
		"https://vcb-baomat.vip để xác thực"},
	{LABEL_SCAM,
		"Tai khoan Agribank cua ban dang bi dang nhap tren thiet bi la, neu khong phai ban "
		"vui long vao "
		"https://agribank.vn-abc.club de huy"},
	{LABEL_SCAM,
		"T.à.i kh0ản của bạn đã bị tạm khóa, vui l0ng truy cập www.tpbank-hotro.cc để mở "
		"khóa"},
	{LABEL_SCAM,
		"Bạn đã đăng ký dịch vụ quốc tế, mỗi tháng thu phí 2.500.000đ. Nếu không phải bạn "
		"vui lòng vào bidv.huydv.top để hủy"},
	/* police and courts */
	{LABEL_SCAM,
		"Công an thông báo: số điện thoại của bà liên quan đến vụ án rửa tiền, chuyển tiền "
		"vào tài khoản tạm giữ để chứng minh"},
	{LABEL_SCAM,
		"Ban co khoan tien phat vi pham giao thong chua thanh toan. Day la thong bao cuoi "
		"cung. Nop phat tai dichvucong-vn.cc"},
	/* tax, power, subsidies */
	{LABEL_SCAM,
		"Tôi là cán bộ thuế quận, mời anh tải app hỗ trợ kê khai tại link "
		"thuedientu-vn.com và kết bạn zalo"},
	{LABEL_SCAM,
		"Ban chua nhan duoc tro cap that nghiep, vui long nhap vao bit.ly/trocap24 de "
		"nhan, qua han se khong giai quyet"},
	/* parcels, prizes */
	{LABEL_SCAM,
		"Bưu kiện của bạn giao thất bại do thiếu thông tin, cập nhật địa chỉ tại "
		"https://buudien-vn.icu"},
	{LABEL_SCAM,
		"Chuc mung ban da trung thuong xe SH tri gia 90 trieu, lien he 0987654321 de nhan "
		"giai"},
	{LABEL_SCAM,
		"Chúc mừng anh là khách hàng may mắn của tháng, nhận ngay iPhone miễn phí tại "
		"quatang-hot.club"},
	/* jobs */
	{LABEL_SCAM,
		"Lazada cần tuyển nhân viên làm việc tại nhà, thu nhập 400k - 900k/ngày, nhận "
		"lương trong ngày, LH zalo 0912345678"},
	{LABEL_SCAM,
		"Kiem them thu nhap online moi ngay chi can dien thoai, moi ngay nhan 500k, "
		"telegram: @hr_lan88"},
	/* debts */
	{LABEL_SCAM,
		"Anh Nam trốn tránh khoản vay quá hạn 60 ngày, công ty sẽ khởi kiện và thông báo "
		"cho người thân, cảnh báo lần cuối"},
	{LABEL_SCAM,
		"Ong co dau hieu lam dung tin nhiem chiem doat tai san, de nghi thanh toan khoan "
		"no truoc 17h"},
	/* SIM, relatives, investment, other */
	{LABEL_SCAM,
		"Thuê bao của quý khách sẽ bị khóa 2 chiều do chưa nâng cấp sim 4G, vui lòng làm "
		"theo hướng dẫn của nhân viên"},
	{LABEL_SCAM,
		"Me oi con bi tai nan dang cap cuu, me chuyen khoan gap vao so tai khoan "
		"0123456789 giup con"},
	{LABEL_SCAM,
		"Nhóm zalo chứng khoán miễn phí, chuyên gia khuyến nghị cổ phiếu cam kết lợi nhuận "
		"30% mỗi tháng"},
	{LABEL_SCAM, "Hỗ trợ lấy lại tiền bị lừa đảo qua mạng, uy tín, liên hệ zalo 0912345678"},
	{LABEL_SCAM,
		"Your account has been suspended. Please verify your identity at "
		"https://secure-login.top"},
	{LABEL_SCAM, "Hi mum, my phone broke, this is my new number, text me on whatsapp"},
	/* spam */
	{LABEL_SPAM,
		"Game bài đổi thưởng, nạp lần đầu tặng 100%, rút tiền nhanh, tải app tại "
		"vidu68.win"},
	{LABEL_SPAM,
		"D/ki tang 99k, n-ap 100k thuong 50k, no hu ban ca, hoan tra khong gioi han "
		"t.ly/AbCdE"},
	{LABEL_SPAM,
		"Cho vay tien nhanh, chi can CCCD, khong the chap, no xau van duyet, lh "
		"0912345678"},
	{LABEL_SPAM,
		"H ỗ t r ợ v a y t i ề n trả góp từ 5tr đến 50tr, giải ngân trong ngày, không gặp "
		"mặt"},
	{LABEL_SPAM,
		"Nhận làm bằng lái xe, bằng đại học, giấy tờ các loại, giao hàng thu tiền, alo "
		"0987654321"},
	{LABEL_SPAM, "Gái gọi cao cấp phục vụ tận nơi, kết bạn zalo 0912345678"},
	{LABEL_SPAM, "Em bán sim số đẹp 0912.34.56.78 giá 900k, sim tứ quý, sim năm sinh"},
};

static const struct expected good[] = {
	{LABEL_HAM,
		"Mã OTP của bạn là 482913. Tuyệt đối không chia sẻ mã này cho bất kỳ ai, kể cả "
		"nhân viên ngân hàng."},
	{LABEL_HAM,
		"TK 0123xxx789 GD: -1,250,000VND 08:15 31/08. SD: 7,654,321VND. ND: chuyen tien "
		"nha thang 9"},
	{LABEL_HAM,
		"[TB] Quý khách đã dùng hết 80% lưu lượng gói cước. Mua thêm tại "
		"https://viettel.vn/data hoặc soạn MUA gửi 191. LH 198 (0đ)"},
	{LABEL_HAM,
		"[QC] Giảm giá 20% toàn bộ cửa hàng đến hết chủ nhật. Hotline 19001234. Từ chối "
		"QC, soạn TC gửi 1313"},
	{LABEL_HAM,
		"(TB) De dam bao quyen loi, Quy khach vui long cap nhat thong tin can cuoc cong "
		"dan tai my.vnpt.com.vn hoac cua hang VinaPhone. "
		"CSKH 18001091"},
	{LABEL_HAM,
		"Don hang 98765 dang duoc giao, shipper Minh se goi quy khach truoc khi den. COD "
		"250.000d"},
	{LABEL_HAM,
		"Phòng khám nhắc lịch hẹn khám của chị Hoa lúc 8h30 ngày mai. Xin mang theo sổ "
		"khám bệnh."},
	{LABEL_HAM,
		"Công an thành phố cảnh báo thủ đoạn giả mạo ngân hàng để lừa đảo, đề nghị người "
		"dân không truy cập link lạ."},
	{LABEL_HAM,
		"Kính gửi phụ huynh lớp 3B, chiều mai nhà trường họp lúc 16h30, mong phụ huynh đến "
		"đúng giờ."},
	{LABEL_HAM,
		"Điện lực Ví Dụ thông báo lịch ngừng cấp điện khu phố 4 từ 7h đến 11h ngày 12/09 "
		"để bảo trì lưới điện."},
	{LABEL_HAM, "Me oi toi nay con ve muon, me cu an com truoc nhe"},
	{LABEL_HAM,
		"Anh ơi chuyển khoản cho em tiền điện nước tháng này nhé, 350k, em gửi số tài "
		"khoản qua zalo rồi"},
	{LABEL_HAM, "mai di da bong ko m, san nha cu 7h, nho mang ao do"},
	{LABEL_HAM, "Chúc mừng sinh nhật bạn! Chúc bạn luôn vui vẻ và hạnh phúc."},
	{LABEL_HAM, "Bạn cà phê chiều nay không, quán cũ nhé"},
	{LABEL_HAM, "Running late, will be there in ten minutes, start without me"},
	{LABEL_HAM, "654321 is your verification code. Do not share it with anyone."},
	{LABEL_HAM,
		"Cong ty tuyen ke toan, lam tai van phong quan 3, phong van thu hai, ho so gui "
		"phong nhan su"},
};

static void check_all(const struct expected *e, size_t n)
{
	static struct verdict v;

	for (size_t i = 0; i < n; i++) {
		classify(scan, slice_str(e[i].text), &v);
		CHECK_CASE("%s", e[i].text);
		if (!CHECK_STR(label_name(v.label), label_name(e[i].label)))
			for (size_t k = 0; k < v.terms; k++)
				printf("\t%s %.1f\n", v.term[k].name, v.term[k].weight);
		CHECK(!v.undecided);
	}
}

static void test_bad(void)
{
	check_all(bad, ARRAY_LEN(bad));
}

/* The texts that nothing is learnt from, by family: the part of `source` after the slash. A family that is no longer found, or notices that are
 * called bad, show here before they show in a mailbox. */
static void test_held_out(void)
{
	enum { FAMILIES = 60 };
	struct family {
		struct slice name, lang;
		bool ham;
		size_t n, called;
	} family[FAMILIES] = {0};
	OWN(model_free) struct model *model = NULL;
	BUF_OWN struct buf file;
	struct slice rest, line;
	struct err e = {0};
	size_t families = 0, ham_called = 0, bad_n = 0, bad_called = 0;

	buf_init(&file, 1 << 20);
	CHECK_RC(model_load(SOURCE_DIR "/etc/model/shipped.khm", &model, &e), RC_OK, &e);
	CHECK_RC(file_read(SOURCE_DIR "/etc/model/heldout-3.tsv", false, &file, &e), RC_OK, &e);
	CHECK_RC(scan_model(scan, model, &e), RC_OK, &e);
	rest = buf_slice(&file);
	CHECK(slice_line(&rest, &line)); /* the header */
	while (slice_line(&rest, &line)) {
		static struct verdict v;
		struct slice field[4] = {0}, before;
		size_t k = 0;

		for (size_t i = 0; i < ARRAY_LEN(field); i++)
			(void)slice_cut(&line, '\t', &field[i]);
		(void)slice_cut(&field[3], '/', &before);
		bool ham = slice_eq(field[0], SLICE("ham"));
		while (k < families &&
			!(slice_eq(family[k].name, field[3]) && family[k].ham == ham &&
				slice_eq(family[k].lang, field[2])))
			k++;
		if (!CHECK(k < FAMILIES))
			break;
		families += k == families;
		family[k].name = field[3];
		family[k].lang = field[2];
		family[k].ham = ham;
		classify(scan, field[1], &v);
		family[k].n++;
		family[k].called += v.label != LABEL_HAM;
		ham_called += ham && v.label != LABEL_HAM;
		bad_n += !ham;
		bad_called += !ham && v.label != LABEL_HAM;
	}
	CHECK(bad_n == 200 && families > 30);
	for (size_t k = 0; k < families; k++) {
		CHECK_CASE("%.*s: %zu of %zu", (int)family[k].name.len, family[k].name.ptr,
			family[k].called, family[k].n);
		if (!family[k].ham && family[k].n >= 10)
			CHECK(family[k].called >= 7);
	}
	CHECK_CASE("all: %zu of %zu bad, %zu ham", bad_called, bad_n, ham_called);
	CHECK(bad_called >= 170 && ham_called <= 1);
	CHECK_RC(scan_model(scan, NULL, &e), RC_OK, &e);
}

static void test_good(void)
{
	check_all(good, ARRAY_LEN(good));
}

int main(void)
{
	struct complaints c;
	struct err e = {0};

	complaints_init(&c);
	if (pack_load(SOURCE_DIR "/etc/rules", SOURCE_DIR "/etc/fold/homoglyphs.tsv", &c, &pack,
		    &e) != RC_OK ||
		scan_new(pack, &scan, &e) != RC_OK) {
		printf("%s\n%s", e.text, c.text.ptr != NULL ? c.text.ptr : "");
		return 1;
	}
	complaints_done(&c);
	RUN(test_bad);
	RUN(test_good);
	RUN(test_held_out);
	scan_free(scan);
	pack_free(pack);
	return check_done();
}
