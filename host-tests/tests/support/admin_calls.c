/* Logs in as an administrator over RTMP with librtmp, makes one call, and prints the answer.
     admin_calls URL METHOD [ARGUMENT]...
   The URL may have options of librtmp after spaces, such as conn=S:user conn=S:password. */
#include <librtmp/amf.h>
#include <librtmp/rtmp.h>
#include <stdio.h>
#include <string.h>

static void show(AMFObject *object, int is_list) {
    printf(is_list ? "[" : "{");
    for (int index = 0; index < object->o_num; index++) {
        AMFObjectProperty *property = &object->o_props[index];
        if (index > 0)
            printf(",");
        if (!is_list)
            printf("%.*s=", property->p_name.av_len, property->p_name.av_val);
        switch (property->p_type) {
        case AMF_NUMBER: printf("%.0f", property->p_vu.p_number); break;
        case AMF_STRING: printf("%.*s", property->p_vu.p_aval.av_len, property->p_vu.p_aval.av_val); break;
        case AMF_DATE: printf("@%.0f", property->p_vu.p_number); break;
        case AMF_OBJECT: show(&property->p_vu.p_object, 0); break;
        case AMF_STRICT_ARRAY: show(&property->p_vu.p_object, 1); break;
        case AMF_NULL: printf("null"); break;
        default: printf("?%d", property->p_type);
        }
    }
    printf(is_list ? "]" : "}");
}

static int call(RTMP *rtmp, int count, char **values) {
    char buffer[1024], *end = buffer + sizeof buffer, *body = buffer + RTMP_MAX_HEADER_SIZE, *at = body;
    AVal text = {values[0], (int)strlen(values[0])};
    at = AMF_EncodeString(at, end, &text);
    at = AMF_EncodeNumber(at, end, 7);
    *at++ = AMF_NULL;
    for (int index = 1; index < count; index++) {
        AVal value = {values[index], (int)strlen(values[index])};
        at = AMF_EncodeString(at, end, &value);
    }
    RTMPPacket packet = {0};
    packet.m_nChannel = 3;
    packet.m_headerType = RTMP_PACKET_SIZE_MEDIUM;
    packet.m_packetType = RTMP_PACKET_TYPE_INVOKE;
    packet.m_body = body;
    packet.m_nBodySize = (uint32_t)(at - body);
    return RTMP_SendPacket(rtmp, &packet, FALSE);
}

int main(int count, char **arguments) {
    RTMP *rtmp = RTMP_Alloc();
    RTMP_Init(rtmp);
    if (count < 3 || !RTMP_SetupURL(rtmp, arguments[1]) || !RTMP_Connect(rtmp, NULL))
        return 2;
    RTMPPacket packet = {0};
    while (RTMP_IsConnected(rtmp) && RTMP_ReadPacket(rtmp, &packet)) {
        if (!RTMPPacket_IsReady(&packet))
            continue;
        if (packet.m_packetType == RTMP_PACKET_TYPE_CHUNK_SIZE)
            rtmp->m_inChunkSize = (int)AMF_DecodeInt32(packet.m_body);
        if (packet.m_packetType == RTMP_PACKET_TYPE_INVOKE) {
            AMFObject object;
            AVal name;
            if (AMF_Decode(&object, packet.m_body, (int)packet.m_nBodySize, FALSE) < 0)
                return 3;
            AMFProp_GetString(AMF_GetProp(&object, NULL, 0), &name);
            double transaction = AMFProp_GetNumber(AMF_GetProp(&object, NULL, 1));
            int is_result = name.av_len == 7 && memcmp(name.av_val, "_result", 7) == 0;
            if (transaction == 7 || !is_result) {
                AMFObject values = {object.o_num - 2, object.o_props + 2};
                printf("%.*s ", name.av_len, name.av_val);
                show(&values, 1);
                printf("\n");
                return is_result ? 0 : 1;
            }
            if (!call(rtmp, count - 2, arguments + 2))
                return 4;
        }
        RTMPPacket_Free(&packet);
    }
    return 5;
}
